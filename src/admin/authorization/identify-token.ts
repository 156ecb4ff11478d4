/** Who holds one of our own tokens. */
import type { Database } from "../../db/client.ts";
import { findValidAdminToken } from "../../db/queries/admin-token.ts";
import type { Identify } from "./authorize.ts";
import { isSecretOf, readSecretId } from "./token-secret.ts";

/** Asks the database every time, so that a revoked token ends at once. */
export function createTokenIdentify(db: Database): Identify {
  return async (secret) => {
    const id = readSecretId(secret);
    if (id === undefined) return undefined;
    const row = await findValidAdminToken(db, id);
    if (row === undefined || !isSecretOf(secret, row.secretHash)) return undefined;
    return { actor: `token:${row.name}`, role: row.role };
  };
}
