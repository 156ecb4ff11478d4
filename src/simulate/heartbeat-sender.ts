/**
 * Sends heartbeats of many agents at low cost: Connect's unary protocol in binary over HTTP/2, without a client
 * library.
 *
 * Either all agents share a few connections and each heartbeat is signed, or every agent has its own connection with a
 * client certificate.
 */

import { createPublicKey } from "node:crypto";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  AgentCallback,
  HeartbeatRequestSchema,
  type HeartbeatResponse,
  HeartbeatResponseSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { signRequest } from "../agent/request-signing.ts";
import { fromUrlHost } from "../base/url-host.ts";
import { issueCertificate, noExpiry } from "../tls/issue-certificate.ts";
import type { SimulatedIdentity } from "./fleet-identities.ts";

/** Options of `createHeartbeatSender`. */
export interface SenderOptions {
  /** URL of the agents' listener; http means plaintext HTTP/2. */
  readonly endpoint: URL;
  /** PEM of the CAs to trust. Default: the CAs that Node ships. */
  readonly ca?: string | undefined;
  /** Kind of proof. With client certificates, every agent has its own connection. */
  readonly proof: "signature" | "certificate";
  /** Number of shared connections for signed heartbeats. */
  readonly connections: number;
  /** Deadline of a call, in milliseconds. */
  readonly timeoutMs: number;
}

/** A call did not get a heartbeat's answer. */
export class HeartbeatFailedError extends Error {
  override readonly name = "HeartbeatFailedError";
  /**
   * Code in Connect's spelling, for example "resource_exhausted". "connection_lost", "timed_out" and "http_503", for
   * example, are the sender's own.
   */
  readonly code: string;
  /** Delay that the server requested, in milliseconds; 0 if it requested none. */
  readonly retryAfterMs: number;
  constructor(code: string, message: string, retryAfterMs = 0) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Sends heartbeats. */
export interface HeartbeatSender {
  /** Number of open connections. */
  readonly openConnections: number;
  /** Sends one heartbeat. Rejects with HeartbeatFailedError. */
  send(
    agent: number,
    identity: SimulatedIdentity,
    heartbeat: MessageInitShape<typeof HeartbeatRequestSchema>,
  ): Promise<HeartbeatResponse>;
  /** Breaks all connections at once, as a restarting switch does. */
  breakConnections(): void;
  close(): void;
}

const path = `/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`;
const maxAnswerBytes = 2 * 1024 * 1024;

/** Creates a sender. It opens connections when they are needed, and again after they broke. */
export function createHeartbeatSender(options: SenderOptions): HeartbeatSender {
  const { endpoint, proof, connections } = options;
  const sessions = new Map<number, ClientHttp2Session>();
  const url = new URL(path, endpoint);
  let lastNonce = 0n;

  function getSession(agent: number, identity: SimulatedIdentity): ClientHttp2Session {
    const slot = proof === "certificate" ? agent : agent % connections;
    const open = sessions.get(slot);
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const session = openSession(options, proof === "certificate" ? createCertificate(identity) : undefined);
    session.on("error", () => {});
    session.once("close", () => {
      if (sessions.get(slot) === session) sessions.delete(slot);
    });
    sessions.set(slot, session);
    return session;
  }

  /**
   * Returns the microseconds since the epoch, but always more than before. One clock for all agents keeps each agent's
   * nonces increasing.
   */
  function nextNonce(): bigint {
    const now = BigInt(Date.now()) * 1000n;
    lastNonce = now > lastNonce ? now : lastNonce + 1n;
    return lastNonce;
  }

  return {
    get openConnections() {
      return sessions.size;
    },
    async send(agent, identity, heartbeat) {
      const body = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, heartbeat));
      const created = Math.floor(Date.now() / 1000);
      const signature =
        proof === "signature"
          ? await signRequest(
              { method: "POST", url, body },
              { machineId: identity.machineId, key: identity, created, nonce: nextNonce() },
            )
          : {};
      return await exchange(getSession(agent, identity), url, body, signature, options.timeoutMs);
    },
    breakConnections() {
      for (const session of sessions.values()) session.destroy();
    },
    close() {
      for (const session of sessions.values()) session.close();
    },
  };
}

interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

function createCertificate({ privateKey }: SimulatedIdentity): ClientCertificate {
  const publicKey = createPublicKey(privateKey);
  const contents = { subject: "simulated agent", publicKey, notBefore: new Date(), notAfter: noExpiry, extensions: [] };
  return {
    cert: issueCertificate(contents, { name: "simulated agent", privateKey }).toString(),
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

function openSession({ endpoint, ca }: SenderOptions, certificate: ClientCertificate | undefined): ClientHttp2Session {
  const host = fromUrlHost(endpoint.hostname);
  const port = Number(endpoint.port || (endpoint.protocol === "https:" ? 443 : 80));
  const createConnection = () =>
    endpoint.protocol === "https:"
      ? connectTls({
          host,
          port,
          servername: isIP(host) === 0 ? host : "",
          ALPNProtocols: ["h2"],
          ...certificate,
          ...(ca === undefined ? {} : { ca }),
        })
      : connectTcp({ host, port });
  return connectHttp2(endpoint.origin, { createConnection });
}

function exchange(
  session: ClientHttp2Session,
  url: URL,
  body: Uint8Array,
  signature: Record<string, string>,
  timeoutMs: number,
): Promise<HeartbeatResponse> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": url.pathname,
      "content-type": "application/proto",
      "connect-protocol-version": "1",
      "connect-timeout-ms": timeoutMs.toString(),
      ...signature,
    });
    const timer = setTimeout(() => {
      reject(new HeartbeatFailedError("timed_out", `no answer within ${timeoutMs} ms`));
      stream.close(constants.NGHTTP2_CANCEL);
    }, timeoutMs);
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    let retryAfterMs = 0;
    stream.once("response", (headers) => {
      status = Number(headers[":status"]);
      retryAfterMs = 1000 * (Number(headers["retry-after"]) || 0);
    });
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxAnswerBytes) chunks.push(chunk);
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on("error", () => {});
    stream.once("end", () => {
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (status === 200) resolveDecoded(bytes, resolve, reject);
      else if (status !== 0) reject(readError(bytes, status, retryAfterMs));
    });
    stream.once("close", () => {
      clearTimeout(timer);
      reject(new HeartbeatFailedError("connection_lost", "the connection broke"));
    });
    stream.end(body);
  });
}

function resolveDecoded(
  bytes: Uint8Array,
  resolve: (answer: HeartbeatResponse) => void,
  reject: (error: HeartbeatFailedError) => void,
): void {
  try {
    resolve(fromBinary(HeartbeatResponseSchema, bytes));
  } catch {
    reject(new HeartbeatFailedError("data_loss", "the answer cannot be decoded"));
  }
}

/** Parses a unary error of Connect, which is JSON (connectrpc.com/docs/protocol, "Unary-Response"). */
function readError(bytes: Buffer, status: number, retryAfterMs: number): HeartbeatFailedError {
  try {
    const { code, message } = JSON.parse(bytes.toString()) as { code?: unknown; message?: unknown };
    if (typeof code === "string") return new HeartbeatFailedError(code, String(message ?? ""), retryAfterMs);
  } catch {
    // The body is not Connect's; it may be a proxy's.
  }
  return new HeartbeatFailedError(`http_${status}`, `HTTP status ${status}`, retryAfterMs);
}
