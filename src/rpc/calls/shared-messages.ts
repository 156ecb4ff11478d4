/**
 * Sends the messages of streams that many callers get at once. Connect encodes and compresses a message anew for each
 * caller, and hands it through a dozen asynchronous generators, which costs several times what the write to the socket
 * does. Here, a message is encoded once for all callers of one format, and written to their answers directly.
 *
 * All else remains Connect's: the head of an answer and the messages before it is sent, errors, trailers and the end.
 * Both can write to one answer because Connect takes the next message of a stream only when it has written the last
 * one, and because all streams of Connect, gRPC and gRPC-Web frame their messages alike.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  encodeEnvelope,
  envelopeCompress,
  type UniversalHandlerOptions,
} from "@connectrpc/connect/protocol";

/** A message in its frame, or the promise of one that is being compressed. */
type Envelope = Uint8Array | Promise<Uint8Array>;

/** Encodes the answers of one method. */
export interface MessageEncoder {
  /** Returns the function that encodes messages as these headers of an answer say, each once for all callers. */
  for(header: Headers): (message: Message) => Envelope;
}

/** Creates the encoder of a method. It encodes and compresses as Connect's handlers do with the same options. */
export function createMessageEncoder(method: DescMethod, options: UniversalHandlerOptions): MessageEncoder {
  const serialization = createMethodSerializationLookup(method, options.binaryOptions, options.jsonOptions, options);
  const byFormat = new Map<string, WeakMap<Message, Envelope>>();

  function encode(message: Message, isBinary: boolean, encoding: string): Envelope {
    const data = serialization.getO(isBinary).serialize(message);
    const compression = options.acceptCompression.find(({ name }) => name === encoding);
    if (compression === undefined || data.length < options.compressMinBytes) return encodeEnvelope(0, data);
    return envelopeCompress({ flags: 0, data }, compression, options.compressMinBytes).then((compressed) =>
      encodeEnvelope(compressed.flags, compressed.data),
    );
  }

  return {
    for(header) {
      const isBinary = header.get("content-type")?.endsWith("json") !== true;
      const encoding = header.get("connect-content-encoding") ?? header.get("grpc-encoding") ?? "identity";
      const format = `${isBinary ? "proto" : "json"} ${encoding}`;
      const encoded = byFormat.get(format) ?? new WeakMap<Message, Envelope>();
      byFormat.set(format, encoded);
      return (message) => {
        let envelope = encoded.get(message);
        if (envelope === undefined) {
          envelope = encode(message, isBinary, encoding);
          encoded.set(message, envelope);
        }
        return envelope;
      };
    },
  };
}

/** The answer of a call that Connect's handler serves. */
interface StreamAnswer {
  /** It emits "drain" when it closes, too. */
  readonly response: ServerResponse;
  readonly encoder: MessageEncoder;
}

/** Context key of a call's answer. */
export const streamAnswerKey = createContextKey<StreamAnswer | undefined>(undefined, {
  description: "answer that is written to directly",
});

/**
 * Sends what `toMessages` makes of each batch, in order. Takes the next batch when the caller has room for it, and
 * writes nothing once the call has ended. A message that several callers get must be the same object and never change.
 *
 * @yields The messages before the head of the answer is sent, for Connect to write.
 */
export async function* sendShared<Batch, Sent extends Message>(
  { signal, values, responseHeader }: HandlerContext,
  batches: AsyncIterable<Batch>,
  toMessages: (batch: Batch) => readonly Sent[],
): AsyncGenerator<Sent> {
  const answer = values.get(streamAnswerKey);
  const encode = answer?.encoder.for(responseHeader);
  for await (const batch of batches) {
    for (const message of toMessages(batch)) {
      if (answer?.response.headersSent !== true || encode === undefined) {
        yield message;
        continue;
      }
      const encoded = encode(message);
      const envelope = encoded instanceof Uint8Array ? encoded : await encoded;
      // Connect may have written the end of the stream meanwhile, and then nothing may follow.
      if (signal.aborted) return;
      if (!answer.response.write(envelope)) await once(answer.response, "drain");
    }
  }
}
