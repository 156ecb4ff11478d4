/**
 * Calls the admin API for operators' commands: authenticated, safe to repeat, and tolerant of a server that restarts.
 */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import type { Config } from "../../config/config.ts";
import { findServer, type ServerAccess } from "./find-server.ts";
import { createProvingAgent } from "./proving-agent.ts";
import { repeatSafely } from "./repeat-safely.ts";

/** A server that can be called. */
export interface Operator {
  readonly server: ServerAccess;
  /**
   * Returns a client of one of its services. Unary calls fail after a minute, including repetitions; streams have no
   * time limit.
   */
  client<Service extends DescService>(service: Service): Client<Service>;
}

const callTimeoutMs = 60_000;
/** Maximum size of an answer. A page of a thousand machines, or a machine's ten hardware reports, are much smaller. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** Finds the server that the configuration names. Opens no connection before the first call. Throws ConfigError. */
export async function connectOperator(config: Config): Promise<Operator> {
  const server = await findServer(config);
  const [{ createConnectTransport }, http, https] = await Promise.all([
    import("@connectrpc/connect-node"),
    import("node:http"),
    import("node:https"),
  ]);
  // Uses HTTP/1.1, which every proxy supports. Idle sockets do not keep the process alive.
  const agent = server.url.startsWith("https:")
    ? new https.Agent({ keepAlive: true, ...(server.ca === undefined ? {} : { ca: server.ca }) })
    : server.key === undefined
      ? new http.Agent({ keepAlive: true })
      : createProvingAgent(server.key);
  const transport = createConnectTransport({
    baseUrl: server.url,
    httpVersion: "1.1",
    nodeOptions: { agent },
    interceptors: [authenticate(server.token), repeatSafely],
    defaultTimeoutMs: callTimeoutMs,
    readMaxBytes: maxAnswerBytes,
    ...(server.isOnLoopback && { acceptCompression: [] }),
  });
  return { server, client: (service) => createClient(service, transport) };
}

function authenticate(token: string): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return await next(request);
  };
}
