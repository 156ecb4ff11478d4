/** Encodes errors in the trailers of gRPC and gRPC-Web (PROTOCOL-HTTP2, "Responses"). */
import { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

/**
 * Sets `error` in `trailer`: its metadata, grpc-status, grpc-message, and grpc-status-details-bin if it has details.
 * Connect's own function escapes like a URI component and throws for a lone surrogate; this one escapes what the
 * protocol requires.
 */
export function setErrorTrailers(trailer: Headers, error: ConnectError): void {
  setTrailerStatus(trailer, withWellFormedText(error));
  trailer.set("grpc-message", encodeGrpcMessage(error.rawMessage));
}

function withWellFormedText(error: ConnectError): ConnectError {
  if (error.rawMessage.isWellFormed()) return error;
  const copy = new ConnectError(error.rawMessage.toWellFormed(), error.code, error.metadata);
  copy.details = error.details;
  copy.isWireError = error.isWireError;
  return copy;
}

/**
 * Text of PROTOCOL-HTTP2's Percent-Byte-Unencoded characters. Spaces at the ends are excluded, since HTTP strips them
 * from a field's value.
 */
const unescaped = /^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/;

/**
 * Returns a status message as the value of grpc-message: UTF-8 bytes that are not printable ASCII, and "%", become %XX.
 * @public
 */
export function encodeGrpcMessage(message: string): string {
  if (unescaped.test(message)) return message;
  const bytes = Buffer.from(message);
  const toEscape = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  const isPlain = (byte: number, index: number) =>
    byte > 0x20 && byte < 0x7f ? byte !== 0x25 : byte === 0x20 && index > 0 && index < bytes.length - 1;
  return Array.from(bytes, (byte, index) => (isPlain(byte, index) ? String.fromCharCode(byte) : toEscape(byte))).join(
    "",
  );
}
