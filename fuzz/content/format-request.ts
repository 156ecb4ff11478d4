/**
 * Requests as the bytes of HTTP/1.1 (RFC 9112), whole, with a body that lacks its end, or with lines that contradict
 * one another.
 */
import type { Random } from "../random.ts";
import type { Call } from "./draw-call.ts";

/** How a request is written. */
export interface RequestForm {
  readonly authority: string;
  /** The end of the body never comes. */
  readonly isCut?: boolean;
  /** Lines stand in it that say something else about where it goes and where it ends. */
  readonly isContradictory?: boolean;
}

/** What the server takes as a head at most, with room for what Node adds. */
const longestHead = 12_000;
/** What is read and dropped in no time, where nobody reads it. */
const longestBody = 64_000;

const contradictions: readonly string[] = [
  ...["Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Content-Length: 5", "Content-Length: 1, 1"],
  ...["Connection: close", "Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c", "Keep-Alive: timeout=0"],
  ...["Host: ", "Host: other", "Host: a b", "Host: [", "Host: 127.0.0.1:0", " folded: line", "no colon", ": no name"],
  ...[
    "Connection: keep-alive, te, host",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Trailer: host",
  ],
];

/** Writes it. */
export function formatRequest(random: Random, call: Call, { authority, isCut, isContradictory }: RequestForm): Buffer {
  const { path, fields, body } = call;
  const isChunked = random.chance(0.25);
  const missing = isCut ? Math.ceil(random.logBetween(1, 100_000)) : 0;
  const end = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length + missing}`;
  const hasEnd = body.length > 0 || missing > 0 || call.method === "POST" || random.chance(0.5);
  const lines = [`Host: ${authority}`, ...fields.map(([name, value]) => `${name}: ${value}`), ...(hasEnd ? [end] : [])];
  if (isContradictory) {
    for (let left = 1 + random.below(3); left > 0; left--) {
      lines.splice(random.below(lines.length + 1), random.below(2), random.pick(contradictions));
    }
  }
  const target = isContradictory && random.chance(0.2) ? `http://${authority}${path}` : path;
  const version = isContradictory ? random.pick(["1.1", "1.1", "1.0", "2.0", "0.9"]) : "1.1";
  const head = Buffer.from(`${call.method} ${target} HTTP/${version}\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const content = hasEnd && isChunked ? toChunks(random, body, !isCut) : hasEnd ? body : Buffer.alloc(0);
  const whole = Buffer.concat([head, content]);
  return isCut && random.chance(0.25) ? whole.subarray(0, random.below(whole.length + 1)) : whole;
}

function toChunks(random: Random, body: Buffer, hasEnd: boolean): Buffer {
  const chunks: Buffer[] = [];
  for (let from = 0; from < body.length; ) {
    const chunk = body.subarray(from, from + Math.ceil(random.logBetween(1, 50_000)));
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
    from += chunk.length;
  }
  return Buffer.concat(hasEnd ? [...chunks, Buffer.from("0\r\n\r\n")] : chunks);
}

/** Whether a server that keeps to HTTP must answer it and go on with the connection. */
export function mustBeAnswered({ isEndless, body }: Call, request: Buffer): boolean {
  return !isEndless && body.length < longestBody && request.indexOf("\r\n\r\n") < longestHead;
}
