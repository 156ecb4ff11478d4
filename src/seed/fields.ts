/** What single fields of a seed file may hold: each function returns the checked value or throws InvalidFieldError. */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { maxGeneration } from "../db/queries/os-installation-request.ts";

/** Says what is wrong with a value and what to write instead. */
export class InvalidFieldError extends Error {
  override readonly name = "InvalidFieldError";
}

/** Longest text, in UTF-16 code units; two of them still fit an index entry of PostgreSQL. */
const maxTextLength = 255;
/** Longest bytes, in binary: agents' gRPC clients take 4 MiB in a response unless told otherwise. */
const maxPayloadBytes = 1024 * 1024;

/** A name or an id as an operator or a provider writes it. */
export function parseText(text: string): string {
  if (text === "") throw new InvalidFieldError("is empty; give it a value or leave it out");
  if (text.length > maxTextLength) throw new InvalidFieldError(`is longer than ${maxTextLength} characters`);
  if (text !== text.trim()) throw new InvalidFieldError("begins or ends with a space; take it away");
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) {
    throw new InvalidFieldError("holds a control character or half a character; take it away");
  }
  return text;
}

/** A generation, from 1 to 2^63 - 1: a number without a fraction, or its decimal digits as a text. */
export function parseGeneration(value: bigint | string): bigint {
  if (typeof value === "string" && !/^[0-9]{1,20}$/.test(value)) {
    throw new InvalidFieldError("is not a whole number; write one such as 123");
  }
  const generation = BigInt(value);
  if (generation < 1n || generation > maxGeneration) {
    throw new InvalidFieldError(`is not between 1 and ${maxGeneration}`);
  }
  return generation;
}

/** An http or https URL, kept as it is written. */
export function parseImageUrl(text: string): string {
  if (!URL.canParse(text) || /[\s\p{Cc}]/u.test(text)) {
    throw new InvalidFieldError("is not a URL; write one such as https://images.example.net/os.img");
  }
  const { protocol } = new URL(text);
  if (protocol !== "https:" && protocol !== "http:") {
    throw new InvalidFieldError(`is a URL of ${protocol.slice(0, -1)}; agents fetch https and http only`);
  }
  return text;
}

/** A SHA-256 digest as in `sha256:…`. */
export function parseDigest(text: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  if (/^(sha256:)?[0-9a-f]{64}$/i.test(text)) {
    throw new InvalidFieldError(
      `is not in the one form that is compared; write sha256:${text.slice(-64).toLowerCase()}`,
    );
  }
  throw new InvalidFieldError("is not a digest; write sha256: and the 64 lower-case hexadecimal digits of sha256sum");
}

/** The name of a block device, without a folder. */
export function parseDevice(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  const name = /^\/dev\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/.exec(text)?.[1];
  throw new InvalidFieldError(
    name === undefined
      ? "is not the plain name of a block device; write one such as sda or nvme0n1"
      : `is a path; write the device's name alone: ${name}`,
  );
}

/** Bytes in base64 (RFC 4648 section 4), which may be wrapped into lines. */
export function parseBase64(text: string): Uint8Array {
  const plain = text.replaceAll(/[ \t\r\n]/g, "");
  const bytes = Buffer.from(plain, "base64");
  if (bytes.toString("base64") !== plain) {
    throw new InvalidFieldError("is not base64; write it as `base64 -w0 FILE` prints it");
  }
  return limitPayload(bytes);
}

/** Text that is handed on as bytes, in UTF-8. */
export function parseUserData(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new InvalidFieldError("holds half a character; use userDataBase64 for bytes");
  return limitPayload(Buffer.from(text));
}

/** A protobuf message in base64, of which only the framing is judged: an agent could decode nothing of a request around a broken one. */
export function parseEncodedMessage(text: string): Uint8Array {
  const bytes = parseBase64(text);
  if (bytes.length === 0) throw new InvalidFieldError("is empty; write the encoded message in base64");
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      reader.skip(wireType, number);
    }
  } catch {
    throw new InvalidFieldError("is base64 of something that is not a protobuf message; encode the message in binary");
  }
  return bytes;
}

function limitPayload(bytes: Uint8Array): Uint8Array {
  if (bytes.length > maxPayloadBytes) {
    throw new InvalidFieldError(`has ${bytes.length} bytes; ${maxPayloadBytes} are the most that agents take`);
  }
  return bytes;
}
