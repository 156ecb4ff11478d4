/** The message inside a unary request's body, where it can be had without Connect: uncompressed and in protobuf's binary form. */

/**
 * Returns the message's bytes, or undefined when the body is compressed, is JSON, or is not framed as its protocol says; Connect
 * then judges it. gRPC and gRPC-Web put five bytes before the message: a flag and its length.
 */
export function findPlainMessage(headers: NodeJS.Dict<string | string[]>, body: Uint8Array): Uint8Array | undefined {
  const contentType = headers["content-type"];
  if (contentType === "application/proto") return headers["content-encoding"] === undefined ? body : undefined;
  if (typeof contentType !== "string" || !/^application\/grpc(-web)?(\+proto)?$/.test(contentType)) return undefined;
  const framed = body.length >= 5 && body[0] === 0;
  const length = framed ? new DataView(body.buffer, body.byteOffset).getUint32(1) : -1;
  return length === body.length - 5 ? body.subarray(5) : undefined;
}
