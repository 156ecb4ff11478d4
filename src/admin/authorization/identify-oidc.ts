/** Who holds a token of an OpenID Connect issuer, and which role the issuer's word for them gives here. */
import { decodeJwt, decodeProtectedHeader, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { OidcConfig } from "../../config/config.ts";
import type { AdminRole } from "../../db/queries/admin-token.ts";
import type { Identify } from "./identify.ts";
import { IssuerAwayError } from "./issuer-keys.ts";

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

/** Makes the check; `getKey` is `createIssuerKeys`. */
export function createOidcIdentify(config: OidcConfig, getKey: JWTVerifyGetKey): Identify {
  return async (token) => {
    const obstacle = findObstacle(token, config.issuer);
    if (obstacle !== undefined) return { refused: obstacle };
    try {
      const { payload } = await jwtVerify(token, getKey, {
        issuer: config.issuer,
        audience: [...config.audiences],
        algorithms: [...algorithms],
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ["sub", "exp"],
      });
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
  const values = new Set(listValues(findClaim(payload, roleClaim), roleClaim));
  const given = new Set(roles.filter(({ value }) => value === "*" || values.has(value)).map(({ role }) => role));
  return (["admin", "operator", "viewer"] as const).find((role) => given.has(role));
}

/** A claim's own name may have dots in it, as names that are URLs have; otherwise they lead into objects. */
function findClaim(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let found: unknown = payload;
  for (const part of name.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<string, unknown>)[part];
  }
  return found;
}

/** A string is one value, but a scope is a list of words (RFC 8693 section 4.2). */
function listValues(claim: unknown, name: string): string[] {
  if (typeof claim === "string") return /(^|\.)(scope|scp)$/.test(name) ? claim.split(" ") : [claim];
  return Array.isArray(claim) ? claim.filter((value) => typeof value === "string") : [];
}
