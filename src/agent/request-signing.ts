/** Signs HTTP requests as an agent (RFC 9421, RFC 9530). Runs in Node and in browsers. */
import {
  agentSignatureBase,
  createAgentSignatureClaim,
  createKeySignatureClaim,
  formatSignatureHeaders,
} from "../contract/agent-signature.ts";
import { formatContentDigest, sha256 } from "../contract/content-digest.ts";
import type { AgentKey } from "./agent-key.ts";

/** A request to send. The body is exactly as sent, including compression and framing. */
export interface OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  readonly body: Uint8Array;
}

/** Identity and time of a signature. */
export interface RequestSigner {
  /** Undefined for an agent that has no machine id yet and enrols: the key itself names the signer. */
  readonly machineId: string | undefined;
  readonly key: Pick<AgentKey, "sign" | "publicKey">;
  /** Seconds since the epoch. */
  readonly created: number;
  /** Greater than the nonces of all earlier requests by this key. */
  readonly nonce: bigint;
}

/** Returns the three header fields that authenticate a request. It must be sent with them and otherwise unchanged. */
export async function signRequest(request: OutgoingRequest, signer: RequestSigner) {
  const { machineId, key, created, nonce } = signer;
  const claim =
    machineId === undefined
      ? createKeySignatureClaim({ publicKey: key.publicKey, created, nonce })
      : createAgentSignatureClaim({ machineId, created, nonce });
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
