/**
 * Identifies the holder of a bearer token: one of the server's own, or one of the OpenID Connect issuer if there is
 * one.
 */
import type { Logger } from "pino";
import type { OidcConfig } from "../../config/config.ts";
import { readSecretId } from "../../contract/secret-id.ts";
import type { Database } from "../../db/client.ts";
import type { Identify } from "./identify.ts";
import { createOidcIdentify } from "./identify-oidc.ts";
import { createTokenIdentify } from "./identify-token.ts";
import { createIssuerKeys } from "./issuer-keys.ts";

/** Options of `createBearerIdentify`. */
export interface IdentifyOptions {
  readonly db: Database;
  readonly oidc: OidcConfig | undefined;
  readonly log: Logger;
}

/**
 * Creates the function that identifies holders. It tells the kinds of tokens apart by their form, since the server's
 * own are not JWTs.
 */
export function createBearerIdentify({ db, oidc, log }: IdentifyOptions): Identify {
  const identifyOwn = createTokenIdentify(db);
  const identifyForeign = oidc && identifyByIssuer(oidc, log);
  return async (token) => {
    const isOwn = readSecretId(token) !== undefined;
    return await (isOwn ? identifyOwn : (identifyForeign ?? identifyOwn))(token);
  };
}

function identifyByIssuer(oidc: OidcConfig, log: Logger): Identify {
  const keys = createIssuerKeys(oidc.issuer, log);
  // Loading the keys now logs a wrong address at once, not when the first person is refused.
  keys.load().then(
    () => log.info({ issuer: oidc.issuer }, "tokens of the OpenID Connect issuer are accepted"),
    () => {},
  );
  return createOidcIdentify(oidc, keys);
}
