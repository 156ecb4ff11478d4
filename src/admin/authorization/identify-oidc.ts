/** Identifies the holder of a token of an OpenID Connect issuer, and maps the token's claims to a role. */
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import type { OidcConfig } from "../../config/config.ts";
import type { AdminRole } from "../../db/queries/admin-token.ts";
import type { Identify } from "./identify.ts";
import { IssuerAwayError, type IssuerKeys } from "./issuer-keys.ts";

/**
 * Accepted signature algorithms. With these only the issuer can sign: none shares a secret, and "none" is not among
 * them.
 */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

/** How far the clocks of the issuer and of this server may differ. */
const clockToleranceSeconds = 30;
/**
 * Accepted values of "typ": those of ID tokens and of access tokens (RFC 9068). Logout tokens, for example, are not
 * accepted.
 */
const acceptableTypes: ReadonlySet<unknown> = new Set([undefined, "jwt", "at+jwt", "application/at+jwt"]);
/**
 * Form of a subject: OpenID Connect Core 1.0 section 2 allows up to 255 ASCII characters; this accepts the printable
 * ones.
 */
const subject = /^[\x20-\x7e]{1,255}$/;

/** Creates the function that identifies holders by the issuer's keys. */
export function createOidcIdentify(config: OidcConfig, keys: Pick<IssuerKeys, "getKey" | "refresh">): Identify {
  const options = {
    issuer: config.issuer,
    audience: [...config.audiences],
    algorithms: [...algorithms],
    clockTolerance: clockToleranceSeconds,
    requiredClaims: ["sub", "exp"],
  };
  return async (token) => {
    const obstacle = findObstacle(token, config.issuer);
    if (obstacle !== undefined) return { refused: obstacle };
    try {
      const payload = await verifyByPresentKeys(token, keys, options);
      if (typeof payload.sub !== "string" || !subject.test(payload.sub)) {
        return { refused: "the token's subject is not 1 to 255 printable ASCII characters" };
      }
      return { actor: `oidc:${payload.sub}`, role: findRole(payload, config) };
    } catch (error) {
      if (error instanceof IssuerAwayError) throw error;
      return { refused: explain(error) };
    }
  };
}

/**
 * Verifies the token. A new key may have no name, or the name of the old one, and then the signature looks wrong until
 * the keys are fetched again. So this fetches them once after a wrong signature.
 */
async function verifyByPresentKeys(
  token: string,
  { getKey, refresh }: Pick<IssuerKeys, "getKey" | "refresh">,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return await verifyByEach(token, getKey, options);
  } catch (error) {
    if (!isWrongSignature(error) || !(await refresh())) throw error;
    return await verifyByEach(token, getKey, options);
  }
}

/**
 * Verifies the token by each key that may have signed it. Several keys may have the name that the token gives, or the
 * token may give none.
 */
async function verifyByEach(token: string, getKey: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, getKey, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        if (!isWrongSignature(failure)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function isWrongSignature(error: unknown): boolean {
  return error instanceof errors.JWSSignatureVerificationFailed;
}

/**
 * Returns what is wrong with a token without looking at its signature, or undefined. So a token that is not the
 * issuer's never causes a request to the issuer.
 */
function findObstacle(token: string, issuer: string): string | undefined {
  try {
    const { alg, typ } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    if (iss !== issuer) return "the token is from another issuer";
    if (!algorithms.some((known) => known === alg)) return "the token is signed with an algorithm that is not accepted";
    return acceptableTypes.has(typ?.toLowerCase()) ? undefined : "the token's type is not accepted";
  } catch {
    return "the token is unknown";
  }
}

/**
 * Returns the reason of a failed check, from jose's error codes. jose's messages name claims but never their values.
 */
function explain(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ERR_JWT_EXPIRED") return "the token has expired";
  if (code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return "the token's signature is wrong";
  if (code === "ERR_JWKS_NO_MATCHING_KEY") return "the token is signed with a key that its issuer does not publish";
  if (error instanceof Error && code === "ERR_JWT_CLAIM_VALIDATION_FAILED")
    return `the token is not valid: ${error.message}`;
  return `the token cannot be checked${code === "" ? "" : ` (${code})`}`;
}

/** Returns the highest role that a value of the claim maps to, or undefined for none. */
function findRole(payload: JWTPayload, { roleClaim, roles }: OidcConfig): AdminRole | undefined {
  const values = new Set(listValues(findClaim(payload, roleClaim.split(".")), roleClaim));
  const given = new Set(roles.filter(({ value }) => value === "*" || values.has(value)).map(({ role }) => role));
  return (["admin", "operator", "viewer"] as const).find((role) => given.has(role));
}

/**
 * Follows the names into nested objects. A name may itself contain dots, as one that is a URL does, at any level: the
 * longest name that leads to a value counts.
 */
function findClaim(value: unknown, names: readonly string[]): unknown {
  if (names.length === 0) return value;
  if (typeof value !== "object" || value === null) return undefined;
  for (let count = names.length; count > 0; count--) {
    const name = names.slice(0, count).join(".");
    if (!Object.hasOwn(value, name)) continue;
    const found = findClaim((value as Record<string, unknown>)[name], names.slice(count));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Returns the values of a claim. A string is one value, except that a scope is a list separated by spaces (RFC 8693
 * section 4.2). The values of an object are its names, as in Zitadel's roles claim, except names whose value is falsy.
 */
function listValues(claim: unknown, name: string): string[] {
  if (typeof claim === "string") return /(^|\.)(scope|scp)$/.test(name) ? claim.split(" ") : [claim];
  if (Array.isArray(claim)) return claim.filter((value) => typeof value === "string");
  if (typeof claim !== "object" || claim === null) return [];
  return Object.entries(claim).flatMap(([value, held]) => (held ? [value] : []));
}
