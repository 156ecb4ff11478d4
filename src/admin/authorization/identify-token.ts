/** Identifies the holder of one of the server's own tokens. */
import { readSecretId } from "../../contract/secret-id.ts";
import type { Database } from "../../db/client.ts";
import { findAdminToken } from "../../db/queries/admin-token.ts";
import type { Identify } from "./identify.ts";
import { isSecretOf } from "./token-secret.ts";

/**
 * Creates the function that identifies holders. It asks the database every time, so that a revocation takes effect at
 * once. Only the holder of the secret learns that the token was revoked or has expired.
 */
export function createTokenIdentify(db: Database): Identify {
  return async (secret) => {
    const id = readSecretId(secret);
    const token = id === undefined ? undefined : await findAdminToken(db, id);
    if (token === undefined || !isSecretOf(secret, token.secretHash)) return { refused: "the token is unknown" };
    if (token.revokedAt !== null) return { refused: "the token is revoked" };
    if (token.isExpired) return { refused: "the token has expired" };
    return { actor: `token:${token.name}`, role: token.role };
  };
}
