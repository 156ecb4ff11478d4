/** Ends HTTP/2 streams that are answered before their body was read to its end. */
import { constants, type ServerHttp2Stream } from "node:http2";
import type { FastifyReply } from "fastify";

/**
 * Sees to it that the stream is reset without an error once the whole answer is out, unless the caller has sent all by then (RFC 9113
 * section 8.1). Node does so only for a body of which nothing was read; a caller that has more to send than fits the window would wait
 * for ever.
 */
export function releaseUnreadBody(reply: FastifyReply): void {
  const { stream } = reply.raw as { stream?: ServerHttp2Stream };
  stream?.on("wantTrailers", release);
}

/** Node sends the trailers, of which there may be none, in the next round of its loop. */
function release(this: ServerHttp2Stream): void {
  setImmediate(closeUnlessRead, this);
}

function closeUnlessRead(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.closed && stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_NO_ERROR);
}
