/** TLS handshakes that are slow, odd or given up, at the level of flights and records, and what may come after them. */
import type { SecureVersion, TLSSocket } from "node:tls";
import { frame, frameHeadBytes, frameType, literalField } from "../../bench/load/http2-frames.ts";
import { AnswerReader } from "../answer-reader.ts";
import { Connection, type OpenOptions } from "../connection.ts";
import { type DrawnFlight, drawFlights, drawLateFlights } from "../content/draw-flight.ts";
import { createHandshakeRelay } from "../handshake-relay.ts";
import type { Talk } from "../talk.ts";
import type { Door } from "../target.ts";

/** Longest that a request may remain without an answer, in milliseconds. */
const answerTimeoutMs = 45_000;
/** What late handshakes have for an answer, or for their end. */
const lateAnswerTimeoutMs = 14_000;
/** A handshake that takes longer, since the fuzzer waits for the processor, may be too slow; in milliseconds. */
const longestHandshakeMs = 5_000;

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [endStream, endHeaders] = [0x1, 0x4];
const shownBytes = 80;

const offers: readonly (readonly string[])[] = [
  ...[["h2"], ["h2"], ["h2"], ["h2", "http/1.1"], ["http/1.1", "h2"], ["unknown", "h2"], ["h2", "h2"]],
  ...[["http/1.1"], ["http/1.1"], [], ["unknown"]],
];
const versions: readonly (SecureVersion | undefined)[] = [undefined, undefined, "TLSv1.3", "TLSv1.2"];
/** With the last ones, the server asks for another first message, or finds no group at all. */
const groups: readonly (string | undefined)[] = [
  ...[undefined, undefined, undefined, undefined, "X25519", "P-521", "P-384:X25519MLKEM768", "ffdhe2048:P-256"],
  "ffdhe2048",
];

/** Makes a handshake in pieces, or one that the server must refuse. Throws ViolationError. */
export async function shakeHandsOddly(talk: Talk): Promise<void> {
  await shakeHands(talk, drawFlights(talk.random), 0);
}

/** Makes a handshake that stops for about as long as one may take. Throws ViolationError. */
export async function shakeHandsLate(talk: Talk): Promise<void> {
  await shakeHands(talk, drawLateFlights(talk.random), lateAnswerTimeoutMs);
}

/** An answer that is not sure to come has `patienceMs`. */
async function shakeHands(talk: Talk, flights: readonly DrawnFlight[], patienceMs: number): Promise<void> {
  const { random } = talk;
  const door = talk.drawDoor(({ hasTls }) => hasTls);
  const certified = talk.drawCertified(door);
  const offer = { alpn: random.pick(offers), tlsVersion: random.pick(versions), groups: random.pick(groups) };
  talk.note(`${offer.tlsVersion ?? "TLS"} for ${offer.alpn.join(", ") || "nothing"}, groups: ${offer.groups ?? "all"}`);
  talk.note(`flights: ${flights.map(({ name }) => name).join("; ")}`);
  const isSound = flights.every((flight) => flight.isSound) && isAcceptable(offer);
  const plans = flights.map(({ plan }) => plan);
  const beganAtMs = performance.now();
  const connection = await Connection.open(talk, door, {
    ...{ ...offer, certified },
    relay: (tcp) => createHandshakeRelay(talk, tcp, plans),
    // Of what is damaged, the server may still wait for the rest.
    timeoutMs: isSound || patienceMs > 0 ? undefined : random.logBetween(20, 1_000),
  });
  const mustGoOn = () => isSound && !talk.signal.aborted && performance.now() - beganAtMs < longestHandshakeMs;
  if (connection.isGone) {
    if (mustGoOn()) talk.fail("a sound TLS handshake failed");
    return;
  }
  const listener = new Listener(connection);
  const isAnswerDue = (await speak(talk, connection, listener.protocol, door)) && mustGoOn();
  const isOver = () => listener.isAnswered || listener.trouble !== undefined;
  await connection.until(isOver, isAnswerDue ? answerTimeoutMs : patienceMs);
  if (listener.trouble !== undefined) talk.fail(`behind a TLS handshake came ${listener.trouble}`);
  if (isAnswerDue && !isOver() && !talk.signal.aborted)
    talk.fail(`a request behind a sound TLS handshake had no answer over ${listener.protocol}`);
  await connection.until(() => false, random.logBetween(0.1, 30));
  await connection.endSomehow();
}

/** In TLS 1.2, the groups must have that of the server's certificate as well (RFC 8422 section 5.1). */
function isAcceptable({
  alpn,
  tlsVersion,
  groups,
}: Pick<OpenOptions, "tlsVersion" | "groups"> & { alpn: readonly string[] }) {
  return (
    (alpn.length === 0 || alpn.some((name) => name !== "unknown")) && (tlsVersion !== "TLSv1.2" || groups === undefined)
  );
}

/** Reads what the server says behind the handshake. */
class Listener {
  readonly protocol: "h2" | "http/1.1";
  readonly #answers = new AnswerReader(["GET"]);
  #frames: Buffer = Buffer.alloc(0);

  constructor(connection: Connection) {
    this.protocol = (connection.socket as TLSSocket).alpnProtocol === "h2" ? "h2" : "http/1.1";
    connection.read((bytes) => {
      if (this.protocol === "h2") this.#frames = Buffer.concat([this.#frames, bytes]);
      else this.#answers.take(bytes);
    });
  }

  /** Whether there is an answer to the first request. */
  get isAnswered(): boolean {
    if (this.protocol !== "h2") return this.#answers.answers.length > 0;
    for (let at = 0; at + frameHeadBytes <= this.#frames.length; ) {
      if (this.#frames.readUInt8(at + 3) === frameType.headers) return true;
      at += frameHeadBytes + this.#frames.readUIntBE(at, 3);
    }
    return false;
  }

  /** Says what came instead of HTTP, once it has. */
  get trouble(): string | undefined {
    if (this.protocol !== "h2") return this.#answers.trouble;
    // A server begins by its settings (RFC 9113 section 3.4).
    if (this.#frames.length < frameHeadBytes || this.#frames.readUInt8(3) === frameType.settings) return undefined;
    return `instead of SETTINGS, ${JSON.stringify(this.#frames.toString("latin1", 0, shownBytes))}`;
  }
}

/** Sends a request, something else, or nothing. Returns whether it must be answered. */
async function speak(talk: Talk, connection: Connection, protocol: string, door: Door): Promise<boolean> {
  const { random } = talk;
  const isRequest = random.chance(0.6);
  const isRenegotiated = random.chance(0.1);
  if (isRenegotiated) {
    talk.note("renegotiate");
    (connection.socket as TLSSocket).renegotiate({}, () => {});
  }
  const request = protocol === "h2" ? formatFrames(door) : formatRequest(door);
  const other = random.pick([Buffer.alloc(0), random.bytes(100), protocol === "h2" ? formatRequest(door) : preface]);
  await connection.send(isRequest ? request : other);
  return isRequest && !isRenegotiated;
}

function formatRequest({ authority }: Door): Buffer {
  return Buffer.from(`GET /healthz HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
}

function formatFrames({ authority }: Door): Buffer {
  const fields = [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/healthz"],
    [":authority", authority],
  ] as const;
  const block = Buffer.concat(fields.map(([name, value]) => literalField(name, value)));
  const settings = frame(frameType.settings, 0, 0, Buffer.alloc(0));
  return Buffer.concat([preface, settings, frame(frameType.headers, endStream | endHeaders, 1, block)]);
}
