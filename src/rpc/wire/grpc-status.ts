/** How gRPC and gRPC-Web say in trailers that a call failed (PROTOCOL-HTTP2, "Responses"). */
import { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

/**
 * Sets `error` in `trailer`: its metadata, grpc-status, grpc-message, and grpc-status-details-bin when it has details. Connect's own
 * function escapes what a URI component must, and throws for half a surrogate pair; this one escapes what the protocol says.
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

/** What PROTOCOL-HTTP2 calls Percent-Byte-Unencoded; spaces at the ends are none, since HTTP takes them off a field's value. */
const unescaped = /^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/;

/** A status message as the field's value carries it: bytes of its UTF-8 that are not printable ASCII, and "%", as %XX. @public */
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
