/** Bodies of calls in every protocol that is spoken here, right ones and nearly right ones. */
import { gzipSync } from "node:zlib";
import { type DescMessage, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import { frameMessage } from "../../src/rpc/wire/grpc-frames.ts";
import type { Random } from "../random.ts";
import type { Field } from "./odd-headers.ts";

/** A way to put a message into a body. */
export interface Encoding {
  readonly contentType: string;
  readonly isJson: boolean;
  readonly isFramed: boolean;
  /** The field that names a compression. */
  readonly compressionField: string;
}

function connectUnary(contentType: string): Encoding {
  return { contentType, isJson: contentType.includes("json"), isFramed: false, compressionField: "content-encoding" };
}

function framed(contentType: string): Encoding {
  const compressionField = contentType.includes("grpc") ? "grpc-encoding" : "connect-content-encoding";
  return { contentType, isJson: contentType.includes("json"), isFramed: true, compressionField };
}

const unaryEncodings: readonly Encoding[] = [
  connectUnary("application/json"),
  connectUnary("application/proto"),
  ...["", "+proto", "+json"].flatMap((suffix) => [
    framed(`application/grpc${suffix}`),
    framed(`application/grpc-web${suffix}`),
  ]),
  framed("application/grpc-web-text"),
];
const streamEncodings: readonly Encoding[] = [
  framed("application/connect+json"),
  framed("application/connect+proto"),
  ...unaryEncodings.filter(({ isFramed }) => isFramed),
];

/** Draws a way that fits the kind of RPC, or one that does not. */
export function drawEncoding(random: Random, isStream: boolean): Encoding {
  const fits = random.chance(0.95) === isStream;
  return random.pick(fits ? streamEncodings : unaryEncodings);
}

/** A body, and the header fields that tell about it. */
export interface EncodedBody {
  readonly body: Buffer;
  readonly fields: readonly Field[];
}

/** Encodes the messages; now and then compressed, or told to be. */
export function encodeBody(
  random: Random,
  { contentType, isJson, isFramed, compressionField }: Encoding,
  type: DescMessage,
  messages: readonly Message[],
): EncodedBody {
  const compressed = random.chance(0.1);
  const pieces = messages.map((message) => {
    const plain = isJson ? toJsonBytes(type, message) : Buffer.from(toBinary(type, message));
    const bytes = compressed ? gzipSync(plain, { level: 1 }) : plain;
    return isFramed ? setFlag(frameMessage(bytes), compressed) : bytes;
  });
  const whole = Buffer.concat(pieces);
  const body = contentType.endsWith("-text") ? Buffer.from(whole.toString("base64")) : whole;
  const tells = compressed !== random.chance(0.05);
  return {
    body,
    fields: [["content-type", contentType], ...(tells ? [[compressionField, "gzip"] as const] : [])],
  };
}

function setFlag(frame: Buffer, compressed: boolean): Buffer {
  if (compressed) frame[0] = 1;
  return frame;
}

/** What JSON cannot say, such as a date that is none, makes it something else that parses. */
function toJsonBytes(type: DescMessage, message: Message): Buffer {
  try {
    return Buffer.from(toJsonString(type, message));
  } catch {
    return Buffer.from("{}");
  }
}
