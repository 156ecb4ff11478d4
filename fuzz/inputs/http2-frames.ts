/**
 * HTTP/2 frame by frame (RFC 9113): calls as they should be, among frames that come too early, too often, or at no time
 * at all.
 */
import { frame, frameType, literalField } from "../../bench/load/http2-frames.ts";
import { Connection } from "../connection.ts";
import { type CallContext, drawCall } from "../content/draw-call.ts";
import { mutate } from "../content/mutate.ts";
import type { Random } from "../random.ts";
import type { Talk } from "../talk.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const flags = { endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;
const errorCodes = 14;

/** Sends frames, as they should be or damaged, and goes away at some moment. */
export async function sendFrames(talk: Talk): Promise<void> {
  const { random, target } = talk;
  const door = talk.drawDoor();
  const certified = talk.drawCertified(door);
  const writer = new FrameWriter(random, { target, door, certified });
  const sent: Buffer[] = [
    ...(random.chance(0.97) ? [preface] : []),
    ...(random.chance(0.97) ? [drawSettings(random)] : []),
  ];
  for (let left = random.pick([1, 2, 4, 8, 20]); left > 0; left--) sent.push(...(await writer.draw()));
  talk.note(`${sent.length} frames`);
  const connection = await Connection.open(talk, door, { alpn: "h2", certified });
  if (random.chance(0.9)) connection.read();
  const whole = Buffer.concat(sent);
  await connection.sendInPieces(random.chance(0.3) ? mutate(random, whole) : whole);
  await connection.until(() => false, random.pick([0, random.logBetween(0.1, 10), random.logBetween(1, 50)]));
  await connection.endSomehow();
}

/** The same, over half a minute, so that the server's time limits come first now and then. */
export async function sendFramesSlowly(talk: Talk): Promise<void> {
  const { random, target } = talk;
  const door = talk.drawDoor();
  const certified = talk.drawCertified(door);
  const writer = new FrameWriter(random, { target, door, certified });
  const connection = await Connection.open(talk, door, { alpn: "h2", certified });
  if (random.chance(0.8)) connection.read();
  await connection.send(Buffer.concat([preface, drawSettings(random)]));
  for (let left = random.below(6); left > 0; left--) {
    await connection.sendInPieces(Buffer.concat(await writer.draw()));
    await connection.until(() => false, random.logBetween(10, 10_000));
  }
  await connection.until(() => false, random.logBetween(100, 40_000));
  await connection.endSomehow();
}

/** Draws frames of one connection, and knows which streams it has begun. */
class FrameWriter {
  readonly #random: Random;
  readonly #context: CallContext;
  #lastStream = -1;

  constructor(random: Random, context: CallContext) {
    this.#random = random;
    this.#context = context;
  }

  async draw(): Promise<Buffer[]> {
    return this.#random.chance(0.5) ? await this.#drawCall() : [this.#drawOther()];
  }

  /** A call, or the beginning of one. */
  async #drawCall(): Promise<Buffer[]> {
    const random = this.#random;
    const { method, path, fields, body } = await drawCall(random, this.#context);
    const { door } = this.#context;
    this.#lastStream += 2;
    const id = this.#lastStream;
    const pseudo = [
      [":method", method],
      [":scheme", door.hasTls ? "https" : "http"],
      [":path", path],
      [":authority", door.authority],
    ] as const;
    const all = [...pseudo, ...fields].filter(() => !random.chance(0.002));
    const block = Buffer.concat(all.map(([name, value]) => literalField(name, value)));
    const hasBody = random.chance(0.8);
    const head = this.#toHeaders(id, block, !hasBody);
    if (!hasBody) return head;
    const cut = random.below(body.length + 1);
    const pieces = random.chance(0.3) ? [body.subarray(0, cut), body.subarray(cut)] : [body];
    const data = pieces.flatMap((piece, index) =>
      this.#toData(id, piece, index === pieces.length - 1 && random.chance(0.75)),
    );
    return [...head, ...data, ...(random.chance(0.15) ? [frame(frameType.reset, 0, id, this.#drawCode())] : [])];
  }

  /** A block too large for one frame goes on in others, as does one that need not. */
  #toHeaders(id: number, block: Buffer, isEnd: boolean): Buffer[] {
    const random = this.#random;
    const isSplit = block.length > maxFrameBytes || random.chance(0.1);
    const first = block.subarray(0, isSplit ? random.below(Math.min(block.length, maxFrameBytes)) : block.length);
    const frames = [
      frame(frameType.headers, (isEnd ? flags.endStream : 0) | (isSplit ? 0 : flags.endHeaders), id, first),
    ];
    for (let from = first.length; from < block.length; from += maxFrameBytes) {
      const isLast = from + maxFrameBytes >= block.length;
      frames.push(frame(9, isLast ? flags.endHeaders : 0, id, block.subarray(from, from + maxFrameBytes)));
    }
    return frames;
  }

  #toData(id: number, piece: Buffer, isEnd: boolean): Buffer[] {
    const frames: Buffer[] = [];
    for (let from = 0; from < piece.length || from === 0; from += maxFrameBytes) {
      const isLast = from + maxFrameBytes >= piece.length;
      frames.push(
        frame(frameType.data, isEnd && isLast ? flags.endStream : 0, id, piece.subarray(from, from + maxFrameBytes)),
      );
    }
    return frames;
  }

  /** A frame that is not part of a call, most often one that may be sent. */
  #drawOther(): Buffer {
    const random = this.#random;
    const id = random.chance(0.8) ? this.#drawStream() : random.below(2 ** 31);
    switch (random.below(9)) {
      case 0:
        return frame(frameType.reset, 0, id, this.#drawCode());
      case 1:
        return frame(8, 0, random.chance(0.5) ? 0 : id, uint32(Math.ceil(random.logBetween(1, 2 ** 31 - 1))));
      case 2:
        return frame(frameType.ping, random.below(2), 0, random.bytes(8));
      case 3:
        return drawSettings(random);
      case 4:
        return frame(frameType.settings, 1, 0, Buffer.alloc(0));
      case 5:
        return frame(2, 0, id, Buffer.concat([uint32(this.#drawStream()), random.bytes(1)]));
      case 6:
        return frame(frameType.data, random.below(16), id, random.bytes(random.below(100)));
      case 7:
        return random.chance(0.2)
          ? frame(frameType.goAway, 0, 0, Buffer.concat([uint32(id), this.#drawCode()]))
          : frame(frameType.headers, flags.endHeaders | flags.endStream, id, literalField("trailer-field", "x"));
      default:
        return frame(random.below(16), random.below(256), id, random.bytes(random.below(60)));
    }
  }

  #drawStream(): number {
    return this.#random.below(Math.max(2, this.#lastStream + 3));
  }

  #drawCode(): Buffer {
    return uint32(this.#random.below(errorCodes + 2));
  }
}

/** What a peer takes that has not said otherwise (RFC 9113 section 4.2). */
const maxFrameBytes = 16_384;

/** RFC 9113 section 6.5.2. */
function drawSettings(random: Random): Buffer {
  const settings = Array.from({ length: random.below(4) }, () => {
    const [id, ...values] = random.pick([
      [1, 0, 4_096, 65_536],
      [2, 0, 0, 1],
      [3, 0, 1, 100],
      [4, 0, 1, 65_535, 2 ** 31 - 1],
      [5, 16_384, 20_000, 16_777_215],
      [6, 0, 100, 65_536],
      [random.below(65_536), random.below(2 ** 32)],
    ] as const);
    const bytes = Buffer.alloc(6);
    bytes.writeUInt16BE(id);
    bytes.writeUInt32BE(random.pick(values), 2);
    return bytes;
  });
  return frame(frameType.settings, 0, 0, Buffer.concat(settings));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
