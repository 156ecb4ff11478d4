/** A fetch that signs every request, for a Connect or gRPC-Web transport. Runs in Node and in browsers. */
import type { AgentKey } from "./agent-key.ts";
import { signRequest } from "./request-signing.ts";
import { SigningClock } from "./signing-clock.ts";

/** Options of `createSigningFetch`. */
export interface SigningFetchOptions {
  /** Undefined for an agent that has no machine id yet and enrols. */
  readonly machineId: string | undefined;
  readonly key: AgentKey;
  /** Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Clock of the signatures, which all fetches of a machine must share. Default: a new one by the machine's clock. */
  readonly clock?: SigningClock | undefined;
}

/**
 * Returns a fetch that signs its requests. If a server with a different clock refuses a request as unauthenticated, it
 * is signed and sent once more by the server's clock. Requests are sent one after another: if one overtook another, the
 * server would take the nonce of the other for a replay.
 */
export function createSigningFetch(options: SigningFetchOptions): typeof globalThis.fetch {
  const { machineId, key, clock = new SigningClock() } = options;
  const send = options.fetch ?? ((request) => globalThis.fetch(request));
  let previous: Promise<unknown> = Promise.resolve();

  async function sendSigned(request: Request, body: Uint8Array<ArrayBuffer>, mayCorrect: boolean): Promise<Response> {
    request.signal.throwIfAborted();
    const time = clock.next();
    const outgoing = { method: request.method, url: new URL(request.url), body };
    const headers = new Headers(request.headers);
    for (const [name, value] of Object.entries(await signRequest(outgoing, { machineId, key, ...time }))) {
      headers.set(name, value);
    }
    const response = await send(new Request(request, request.body === null ? { headers } : { headers, body }));
    const date = response.headers.get("date");
    if (!clock.differsFrom(date) || !(await isUnauthenticated(response))) {
      // A failure may come from a proxy, and says nothing about the nonce.
      if (response.ok) clock.accept(time.nonce);
      return response;
    }
    if (!mayCorrect) return response;
    await response.body?.cancel();
    clock.correct(date);
    return await sendSigned(request, body, false);
  }

  return async (input, init) => {
    const request = new Request(input, init);
    const body = new Uint8Array(await request.arrayBuffer());
    const turn = previous.then(() => sendSigned(request, body, true));
    previous = turn.catch(() => {});
    return await Promise.race([turn, rejectOnAbort(request.signal)]);
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/**
 * Returns whether an answer is `unauthenticated`: by its status in Connect, and by a header field or in the trailer at
 * the body's end in gRPC-Web.
 */
async function isUnauthenticated(response: Response): Promise<boolean> {
  if (response.status === 401 || response.headers.get("grpc-status") === "16") return true;
  if (!response.headers.get("content-type")?.startsWith("application/grpc-web")) return false;
  const body = new Uint8Array(await response.clone().arrayBuffer());
  return /(^|\r\n)grpc-status: *16\r\n/i.test(findTrailer(body));
}

/**
 * Returns the trailer of a gRPC-Web body, which is the frame with the highest bit of the flags set; "" if there is
 * none.
 */
function findTrailer(body: Uint8Array): string {
  const view = new DataView(body.buffer);
  for (let start = 0; start + 5 <= body.length; start += 5 + view.getUint32(start + 1)) {
    if ((view.getUint8(start) & 0x80) === 0) continue;
    return new TextDecoder("latin1").decode(body.subarray(start + 5, start + 5 + view.getUint32(start + 1)));
  }
  return "";
}
