/** Checks public keys that callers send. The contract checks their length, this file the rest. */
import { Code, ConnectError } from "@connectrpc/connect";
import { assertPublicKey, InvalidPublicKeyError } from "../../contract/public-key.ts";
import { badRequest } from "../../rpc/wire/error-details.ts";

/**
 * Throws `invalid_argument` for the field `public_key` unless the key is sound, so that a signature by it proves
 * something.
 */
export function checkPublicKey(publicKey: Uint8Array): void {
  try {
    assertPublicKey(publicKey);
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    const details = [badRequest([{ field: "public_key", description: error.message, reason: "PUBLIC_KEY_UNSOUND" }])];
    throw new ConnectError(`public_key: ${error.message}`, Code.InvalidArgument, undefined, details);
  }
}
