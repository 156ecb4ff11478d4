/** Who holds a bearer token: one of our own, or one of the OpenID Connect issuer when there is one. */
import type { Logger } from "pino";
import type { OidcConfig } from "../../config/config.ts";
import type { Database } from "../../db/client.ts";
import type { Identify } from "./identify.ts";
import { createOidcIdentify } from "./identify-oidc.ts";
import { createTokenIdentify } from "./identify-token.ts";
import { createIssuerKeys } from "./issuer-keys.ts";
import { readSecretId } from "./token-secret.ts";

/** What tells whom tokens belong to. */
export interface IdentifyOptions {
  readonly db: Database;
  readonly oidc: OidcConfig | undefined;
  readonly log: Logger;
}

/** Tells the tokens apart by their form: a secret of ours is no JWT. */
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
  // A wrong address shows in the log at once then, not when the first person is refused.
  keys.load().then(
    () => log.info({ issuer: oidc.issuer }, "tokens of the OpenID Connect issuer are accepted"),
    () => {},
  );
  return createOidcIdentify(oidc, keys);
}
