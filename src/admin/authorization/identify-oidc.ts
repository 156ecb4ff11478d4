/** Who holds a token of an OpenID Connect issuer, and which role the issuer's word for them gives here. */
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

/** Of these the issuer alone can make a signature: no secret is shared, and "none" is none of them. */
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

/** How far the issuer's clock and ours may be apart. */
const clockToleranceSeconds = 30;
/** What says that the token is for getting in: ID tokens, and access tokens of RFC 9068. Logout tokens, for example, are not. */
const acceptableTypes: ReadonlySet<unknown> = new Set([undefined, "jwt", "at+jwt", "application/at+jwt"]);
/** OpenID Connect Core 1.0 section 2: at most 255 characters of ASCII; of these the ones that can stand in a log. */
const subject = /^[\x20-\x7e]{1,255}$/;

/** Makes the check by the issuer's keys. */
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

/** A key that is new may bear no name, or the name of the old one: then a signature looks wrong until the keys are fetched anew. */
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

/** Several keys may have the name that the token gives, or none where it gives none: one of them must have made the signature. */
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

/** What is wrong with a token at first sight, so that nobody is asked for the keys of a token that is not the issuer's. */
function findObstacle(token: string, issuer: string): string | undefined {
  try {
    const { alg, typ } = decodeProtectedHeader(token);
    const { iss } = decodeJwt(token);
    if (iss !== issuer) return "the token is of another issuer";
    if (!algorithms.some((known) => known === alg))
      return "the token is signed by an algorithm that does not count here";
    return acceptableTypes.has(typ?.toLowerCase()) ? undefined : "the token is of a type that is not for this";
  } catch {
    return "the token is unknown";
  }
}

/** By jose's codes, whose messages name claims and never their values. */
function explain(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ERR_JWT_EXPIRED") return "the token has expired";
  if (code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return "the token's signature is wrong";
  if (code === "ERR_JWKS_NO_MATCHING_KEY") return "the token is signed by a key that its issuer does not have";
  if (error instanceof Error && code === "ERR_JWT_CLAIM_VALIDATION_FAILED")
    return `the token does not hold: ${error.message}`;
  return `the token cannot be checked${code === "" ? "" : ` (${code})`}`;
}

/** The greatest role that a value of the claim gives; undefined for none. */
function findRole(payload: JWTPayload, { roleClaim, roles }: OidcConfig): AdminRole | undefined {
  const values = new Set(listValues(findClaim(payload, roleClaim.split(".")), roleClaim));
  const given = new Set(roles.filter(({ value }) => value === "*" || values.has(value)).map(({ role }) => role));
  return (["admin", "operator", "viewer"] as const).find((role) => given.has(role));
}

/**
 * Follows names into objects. A name may have dots in it itself, as those that are URLs have, at every level: the longest one counts that
 * leads to something.
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
 * A string is one value, but a scope is a list of words (RFC 8693 section 4.2). Of an object the names are values, as Zitadel has its
 * roles, unless what they stand for is false or nothing.
 */
function listValues(claim: unknown, name: string): string[] {
  if (typeof claim === "string") return /(^|\.)(scope|scp)$/.test(name) ? claim.split(" ") : [claim];
  if (Array.isArray(claim)) return claim.filter((value) => typeof value === "string");
  if (typeof claim !== "object" || claim === null) return [];
  return Object.entries(claim).flatMap(([value, held]) => (held ? [value] : []));
}
