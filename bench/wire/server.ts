/**
 * `server.ts NAME [FOLDER]` runs one server of the comparisons on the wire. With a folder it uses TLS, with the
 * certificate there. It prints its port on a line when it serves.
 */
import { once } from "node:events";
import {
  createServer as createHttp2Server,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import fastify from "fastify";
import { pino } from "pino";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { createAgentListener } from "../../src/rpc/agent-listener.ts";
import { createErrorMapper } from "../../src/rpc/calls/error-mapping.ts";
import type { ListenerTls } from "../../src/rpc/listener.ts";
import { frameMessage } from "../../src/rpc/wire/grpc-frames.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { heartbeatPath } from "../load/heartbeat-call.ts";
import { heartbeat, heartbeatOnBytes } from "./work.ts";

const host = "127.0.0.1";

/** Functions that open each server on a free port; without `tls` in plaintext. */
const servers: Record<string, (tls: ListenerTls | undefined) => Promise<number>> = {
  lane: (tls) => serveAgents("on", tls),
  connect: (tls) => serveAgents("off", tls),
  "grpc-js": serveGrpcJs,
  http2: serveHttp2,
  fastify: serveFastify,
};

const [, , name = "", folder] = process.argv;
const serve = servers[name];
if (serve === undefined) throw new Error(`which server? One of ${Object.keys(servers).join(", ")}`);
process.stdout.write(`${await serve(folder === undefined ? undefined : await ensureDevelopmentTls(folder, [host]))}\n`);

/**
 * Serves by the product's agents' listener, but accepts every caller without proof. Calls are counted as in the
 * product.
 */
async function serveAgents(unaryLane: "on" | "off", tls: ListenerTls | undefined): Promise<number> {
  const log = pino({ level: "silent" });
  const metrics = createMetrics();
  const listener = createAgentListener({
    tls,
    routes: (router) => router.service(AgentCallback, { heartbeat }),
    authenticate: () => () => {},
    interceptors: [],
    toConnectError: createErrorMapper(() => undefined, log),
    log,
    unaryLane,
    onCall: metrics.calls.onCall,
  });
  await listener.listen({ host, port: 0 });
  return portOf(listener.server);
}

async function serveGrpcJs(tls: ListenerTls | undefined): Promise<number> {
  const server = new GrpcServer();
  const method = {
    path: heartbeatPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  server.addService(
    { heartbeat: method },
    {
      heartbeat: ({ request }: { request: Buffer }, answer: (error: null, bytes: Buffer) => void) => {
        answer(null, Buffer.from(heartbeatOnBytes(request)));
      },
    },
  );
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }]);
  return await new Promise((resolve, reject) => {
    server.bindAsync(`${host}:0`, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/** Serves gRPC's bytes without its rules, to show the cost of a call in Node alone. */
async function serveHttp2(tls: ListenerTls | undefined): Promise<number> {
  const server = tls === undefined ? createHttp2Server() : createSecureServer(tls);
  const headers = { ":status": 200, "content-type": "application/grpc+proto" };
  server.on("stream", (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders) => {
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => {
      const message = Buffer.concat(pieces).subarray(5);
      stream.respond(headers, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(frameMessage(heartbeatOnBytes(message)));
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  return portOf(server);
}

/** Serves a simple JSON route. */
async function serveFastify(): Promise<number> {
  const app = fastify();
  app.post(heartbeatPath, async (request) => {
    heartbeat(request.body as { machineId: string });
    return { nextHeartbeatAfter: "30s" };
  });
  await app.listen({ host, port: 0 });
  return portOf(app.server);
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}
