/** Connections on which a test controls every byte, and HTTP/2 calls without a client library. */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { heartbeatPath } from "./agents.ts";

/** URL of a server, and options for its TLS. */
export interface RawTarget {
  readonly url: string;
  readonly ca?: string;
  readonly alpn?: "h2" | "http/1.1";
  readonly certificate?: { cert: string; key: string };
}

/** One connection. */
export interface RawConnection extends Disposable {
  readonly socket: Socket;
  /** Everything received so far, one character per byte. */
  readonly received: string;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  /** Sends bytes. Resolves when they are written, or when the connection is closed. */
  send(...pieces: (string | Uint8Array)[]): Promise<void>;
  /** Resolves to everything received once `pattern` matches it or the connection is closed. */
  until(pattern: RegExp): Promise<string>;
  /** Resets the TCP connection immediately, without closing TLS. */
  reset(): void;
}

/** Opens a TCP connection without TLS, whatever the server expects. */
export async function openTcp(url: string): Promise<RawConnection> {
  const socket = openSocket(url);
  return await watch(socket, "connect", socket);
}

function openSocket(url: string): Socket {
  return connectTcp({ port: Number(new URL(url).port), host: "127.0.0.1", noDelay: true });
}

/** Opens a TLS connection for https, a TCP connection for http. */
export async function openRaw({ url, ca, alpn = "http/1.1", certificate }: RawTarget): Promise<RawConnection> {
  if (new URL(url).protocol === "http:") return await openTcp(url);
  const below = openSocket(url);
  const options = { socket: below, host: "127.0.0.1", ALPNProtocols: [alpn], ...certificate };
  const socket = connectTls(ca === undefined ? { ...options, rejectUnauthorized: false } : { ...options, ca });
  return await watch(socket, "secureConnect", below);
}

async function watch(socket: Socket, ready: "connect" | "secureConnect", below: Socket): Promise<RawConnection> {
  let received = "";
  socket.on("error", () => {});
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await Promise.race([new Promise((resolve) => socket.once(ready, resolve)), closed]);
  return {
    socket,
    closed,
    get received() {
      return received;
    },
    send: async (...pieces) => {
      for (const piece of pieces) {
        await Promise.race([closed, new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)))]);
      }
    },
    until: async (pattern) => {
      let gone = false;
      const end = closed.then(() => {
        gone = true;
      });
      while (!pattern.test(received) && !gone) {
        await Promise.race([end, new Promise((resolve) => socket.once("data", resolve))]);
      }
      return received;
    },
    reset: () => below.resetAndDestroy(),
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** Returns the HTTP/1.1 head of a heartbeat, with the empty line that ends it. */
export function heartbeatHead(host: string, fields: Record<string, string | number>): string {
  const lines = Object.entries({ Host: host, "Content-Type": "application/json", ...fields });
  return `POST ${heartbeatPath} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** Answer on an HTTP/2 stream. */
export interface Http2Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Code of the RST_STREAM frame that ended the stream; 0 without an error. */
  readonly resetCode: number | undefined;
}

/**
 * POSTs a heartbeat on a session and resolves to the answer when its stream is closed. `write` is the body or sends it.
 * Default: no body.
 */
export function callHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  write: Uint8Array | string | ((stream: ClientHttp2Stream) => void) = "",
): Promise<Http2Answer> {
  const stream = session.request({
    ":method": "POST",
    ":path": heartbeatPath,
    "content-type": "application/json",
    ...headers,
  });
  const chunks: Buffer[] = [];
  let head: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on("response", (fields) => {
    head = fields;
  });
  stream.on("trailers", (fields) => {
    trailers = fields;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  if (typeof write === "function") write(stream);
  else stream.end(write);
  return new Promise((resolve) => {
    stream.once("close", () => {
      const body = Buffer.concat(chunks);
      resolve({ status: head[":status"], headers: head, trailers, body, resetCode: stream.rstCode });
    });
  });
}

/** Returns a gRPC message with its five bytes of framing. `flags` and `length` need not be correct. */
export function frameMessage(message: Uint8Array, { flags = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}
