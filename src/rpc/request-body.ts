/** Request bodies, read whole and bounded before anything looks at them. */
import type { IncomingMessage } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ListenerLimits } from "./limits.ts";

type BodyLimits = Pick<ListenerLimits, "maxBodyBytes" | "bodyTimeoutMs">;

/**
 * Reads a body to its end. Throws ConnectError: `resource_exhausted` past the limit, without reading on; `deadline_exceeded` when it
 * does not arrive in time; `canceled` when the caller goes.
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > limits.maxBodyBytes) throw bodyTooLarge(limits);
  return await collectBody(request, limits);
}

function collectBody(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (how: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      how();
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limits.maxBodyBytes) return;
      request.pause();
      settle(() => reject(bodyTooLarge(limits)));
    };
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks, size)));
    const onGone = () => {
      // A listener stays, or an error that comes later would end the process.
      request.on("error", () => {});
      settle(() => reject(new ConnectError("the caller went away", Code.Canceled)));
    };
    const timer = setTimeout(() => {
      request.pause();
      settle(() => reject(new ConnectError("the body did not arrive in time", Code.DeadlineExceeded)));
    }, limits.bodyTimeoutMs);
    request.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
  });
}

function bodyTooLarge({ maxBodyBytes }: BodyLimits): ConnectError {
  return new ConnectError(`the body is larger than ${maxBodyBytes} bytes`, Code.ResourceExhausted);
}
