/** Who holds one of our own tokens. */
import type { Database } from "../../db/client.ts";
import { findAdminToken } from "../../db/queries/admin-token.ts";
import type { Identify } from "./identify.ts";
import { isSecretOf, readSecretId } from "./token-secret.ts";

/** Asks the database every time, so that a revoked token ends at once. Only who holds the secret is told what became of it. */
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
