/** Signs HTTP requests as a machine's agent (RFC 9421, RFC 9530); runs in Node and in browsers. */
import { agentSignatureBase, createAgentSignatureClaim, formatSignatureHeaders } from "../contract/agent-signature.ts";
import { formatContentDigest, sha256 } from "../contract/content-digest.ts";
import type { AgentKey } from "./agent-key.ts";

/** A request as it goes out: the body exactly as sent, compression and framing included. */
export interface OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  readonly body: Uint8Array;
}

/** Who signs, and when. */
export interface RequestSigner {
  readonly machineId: string;
  readonly key: Pick<AgentKey, "sign">;
  /** Seconds since the epoch. */
  readonly created: number;
  /** Greater than that of every request of this machine before. */
  readonly nonce: bigint;
}

/** Returns the three fields that make a request authentic; the request must go out with them and otherwise as it is. */
export async function signRequest(request: OutgoingRequest, signer: RequestSigner) {
  const { machineId, key, created, nonce } = signer;
  const claim = createAgentSignatureClaim({ machineId, created, nonce });
  const contentDigest = formatContentDigest(await sha256(request.body));
  const base = agentSignatureBase(
    {
      method: request.method,
      scheme: request.url.protocol === "https:" ? "https" : "http",
      authority: request.url.host,
      path: request.url.pathname,
      contentDigest,
    },
    claim,
  );
  const signature = await key.sign(new TextEncoder().encode(base));
  return { "content-digest": contentDigest, ...formatSignatureHeaders(claim, signature) };
}
