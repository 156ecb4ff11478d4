/** Identifies agents without a machine id by an HTTP message signature (RFC 9421) whose `keyid` is the key itself. */
import { findKeySignature } from "../../contract/agent-signature.ts";
import { assertPublicKey, InvalidPublicKeyError } from "../../contract/public-key.ts";
import type { RawCall } from "../../rpc/calls/raw-call.ts";
import { IdentityRefusedError, type KeyIdentity } from "./agent-identity.ts";
import { toKeyObject } from "./registered-keys.ts";
import {
  assertDigests,
  parseSignature,
  readCovered,
  readSignatureHeaders,
  type SignatureVerifierOptions,
} from "./signature-identity.ts";

/**
 * Returns the key that the signature of an agent without a machine id proves, or undefined if the request has no
 * agent's signature. Throws IdentityRefusedError and errors of the call's `assertMayTry`.
 */
export type VerifyKeySignature = (rawCall: RawCall, call: { assertMayTry(): void }) => Promise<KeyIdentity | undefined>;

/**
 * Creates a verifier of signatures whose `keyid` is the key itself. It asks no database. It does not check the nonce:
 * only the transaction that stores the enrolment can detect a replay on another replica.
 */
export function createKeySignatureVerifier(
  options: Omit<SignatureVerifierOptions, "readPublicKeys">,
): VerifyKeySignature {
  return async (rawCall, call) => {
    const request = { ...rawCall, headers: readSignatureHeaders(rawCall.headers) };
    const signature = parseSignature(findKeySignature, request.headers);
    if (signature === undefined) return undefined;
    call.assertMayTry();
    if (signature instanceof IdentityRefusedError) throw signature;
    const { publicKey, nonce } = signature;
    const { base, digests } = readCovered(options, request, signature, { publicKey });
    assertSound(publicKey);
    const isGenuine = await options.checks.verify({
      message: base,
      key: toKeyObject(publicKey),
      signature: signature.signature,
      isUrgent: () => false,
      assertWanted: call.assertMayTry,
    });
    if (!isGenuine) {
      throw new IdentityRefusedError("signature", "the signature is not by the key that its keyid is", { publicKey });
    }
    assertDigests(digests, request.body, { publicKey });
    return { publicKey, remoteAddress: request.remoteAddress, nonce };
  };
}

function assertSound(publicKey: Uint8Array): void {
  try {
    assertPublicKey(publicKey);
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    throw new IdentityRefusedError("signature", `the key is not accepted: ${error.message}`, {
      publicKey,
    });
  }
}
