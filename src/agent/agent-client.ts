/** The client of agents that prove their identity by a TLS client certificate. */

import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions, Http2SessionManager } from "@connectrpc/connect-node";
import { EnrolmentService } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { fromUrlHost } from "../base/url-host.ts";
import type { AgentKey } from "./agent-key.ts";
import { createClientCertificate } from "./client-certificate.ts";
import { maxResponseBytes } from "./node-fetch.ts";

/** Options of `createAgentClient`. */
export interface AgentClientOptions {
  /** An https URL of the agents' listener. */
  readonly endpoint: string;
  readonly key: AgentKey;
  /** PEM of the CAs to trust. Default: those that Node trusts. */
  readonly ca?: string | Buffer | undefined;
}

/**
 * Interval and timeout of pings, in milliseconds. Between two heartbeats, pings detect a dead connection before a call
 * is lost on it.
 */
const ping = { pingIntervalMs: 20_000, pingTimeoutMs: 3_000 };

/**
 * Creates a client that uses gRPC over one TLS connection, which is opened when needed and again after it has broken.
 */
export function createAgentClient(options: AgentClientOptions): Client<typeof AgentCallback> {
  return createClient(AgentCallback, createCertifiedTransport(options));
}

/** Creates a client, as `createAgentClient` does, for an agent that has no machine id yet. */
export function createEnrolmentClient(options: AgentClientOptions): Client<typeof EnrolmentService> {
  return createClient(EnrolmentService, createCertifiedTransport(options));
}

function createCertifiedTransport({ endpoint, key, ca }: AgentClientOptions): Transport {
  const certificate = createClientCertificate(key);
  const host = fromUrlHost(new URL(endpoint).hostname);
  const port = Number(new URL(endpoint).port || 443);
  const withSession = createSessionMemory();
  const sessionManager = new Http2SessionManager(endpoint, ping, {
    // By default, node:http2 sends an IP address as the server's name, which RFC 6066 section 3 forbids.
    createConnection: () =>
      withSession((session) =>
        connect({
          host,
          port,
          servername: isIP(host) === 0 ? host : "",
          ALPNProtocols: ["h2"],
          ...certificate,
          ...session,
          ...(ca === undefined ? {} : { ca }),
        }),
      ),
  });
  return createGrpcTransport({
    baseUrl: endpoint,
    sessionManager: absorbLateErrors(sessionManager),
    readMaxBytes: maxResponseBytes,
    interceptors: [dropConnectionOnDeadline(sessionManager), repeatRefused],
  });
}

/**
 * Creates a memory of the last TLS session with the server, and returns the function that connects with it, so that a
 * connection after the first one costs both sides less. A session with which the handshake fails is forgotten, and the
 * next connection begins with a full handshake.
 */
function createSessionMemory() {
  let last: Buffer | undefined;
  return (open: (options: { readonly session?: Buffer }) => TLSSocket): TLSSocket => {
    const socket = open(last === undefined ? {} : { session: last });
    const forget = () => {
      last = undefined;
    };
    socket.on("session", (session: Buffer) => {
      last = session;
    });
    // A server that cannot be reached has not refused the session.
    socket.once("connect", () => socket.once("close", forget));
    socket.once("secureConnect", () => socket.off("close", forget));
    return socket;
  };
}

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

/**
 * Prevents a session's late error from ending the process. A manager stops listening to a session once it has begun
 * another one, but a session that received GOAWAY emits its error only when its socket has closed. A call in between
 * would make that error fatal.
 */
function absorbLateErrors(manager: Http2SessionManager): SessionManager {
  const heard = new WeakSet<object>();
  return {
    authority: manager.authority,
    request: async (...call) => {
      const stream = await manager.request(...call);
      const { session } = stream;
      if (session !== undefined && !heard.has(session)) {
        heard.add(session);
        session.on("error", () => {});
      }
      return stream;
    },
    notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
  };
}

/** Maximum number of times that a call is sent. */
const maxTries = 4;

/**
 * Repeats a call whose stream the server refused before it processed it (REFUSED_STREAM, RFC 9113 section 8.7), as
 * servers do when they are about to close the connection. A call that is refused repeatedly is `unavailable`. The
 * transport alone would repeat nothing and report both as `internal`.
 */
const repeatRefused: Interceptor = (next) => async (request) => {
  for (let tries = 1; ; tries++) {
    try {
      return await next(request);
    } catch (error) {
      if (!isRefusedStream(error)) throw error;
      if (tries === maxTries) throw refuseForGood(error);
    }
  }
};

function isRefusedStream(error: unknown): error is Error {
  const { cause } = ConnectError.from(error);
  const isStreamError = cause instanceof Error && "code" in cause && cause.code === "ERR_HTTP2_STREAM_ERROR";
  return isStreamError && cause.message.endsWith("NGHTTP2_REFUSED_STREAM");
}

function refuseForGood(error: Error): ConnectError {
  const text = `the server refused the stream ${maxTries} times`;
  return new ConnectError(text, Code.Unavailable, undefined, undefined, error);
}

/**
 * Drops the connection when a call's deadline passes. The server may have disappeared without closing it, and the next
 * call must not wait for the same connection.
 */
function dropConnectionOnDeadline(sessionManager: Http2SessionManager): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code === Code.DeadlineExceeded) sessionManager.abort();
      throw error;
    }
  };
}
