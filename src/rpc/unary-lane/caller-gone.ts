/** Reasons with which a call's signal is aborted when its caller has left, the same as Connect's. */
import { constants } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

const { NGHTTP2_NO_ERROR, NGHTTP2_STREAM_CLOSED } = constants;

/** Names of HTTP/2 error codes, and the codes that a reset with them means (PROTOCOL-HTTP2, "Errors"). */
const codes: ReadonlyMap<number, readonly [string, Code]> = new Map([
  [constants.NGHTTP2_PROTOCOL_ERROR, ["PROTOCOL_ERROR", Code.Internal]],
  [constants.NGHTTP2_INTERNAL_ERROR, ["INTERNAL_ERROR", Code.Internal]],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR, ["FLOW_CONTROL_ERROR", Code.Internal]],
  [constants.NGHTTP2_SETTINGS_TIMEOUT, ["SETTINGS_TIMEOUT", Code.Internal]],
  [constants.NGHTTP2_FRAME_SIZE_ERROR, ["FRAME_SIZE_ERROR", Code.Internal]],
  [constants.NGHTTP2_COMPRESSION_ERROR, ["COMPRESSION_ERROR", Code.Internal]],
  [constants.NGHTTP2_CONNECT_ERROR, ["CONNECT_ERROR", Code.Internal]],
  [constants.NGHTTP2_REFUSED_STREAM, ["REFUSED_STREAM", Code.Unavailable]],
  [constants.NGHTTP2_CANCEL, ["CANCEL", Code.Canceled]],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, ["ENHANCE_YOUR_CALM", Code.ResourceExhausted]],
  [constants.NGHTTP2_INADEQUATE_SECURITY, ["INADEQUATE_SECURITY", Code.PermissionDenied]],
  [constants.NGHTTP2_HTTP_1_1_REQUIRED, ["HTTP_1_1_REQUIRED", Code.PermissionDenied]],
]);

/** Returns the reason for a stream that was reset with `rstCode`. */
export function abortedByReset(rstCode: number | undefined): unknown {
  if (rstCode === undefined || rstCode === NGHTTP2_NO_ERROR || rstCode === NGHTTP2_STREAM_CLOSED)
    return abortedByCaller();
  const [name, code] = codes.get(rstCode) ?? [];
  if (name === undefined) return abortedByCaller();
  return new ConnectError(`http/2 stream closed with error code ${name} (0x${rstCode.toString(16)})`, code);
}

/** Returns the reason for a closed connection. */
export function abortedByCaller(): DOMException {
  return new DOMException("This operation was aborted", "AbortError");
}
