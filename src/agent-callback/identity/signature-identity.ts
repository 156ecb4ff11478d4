/**
 * Identifies agents by an HTTP message signature (RFC 9421) in this project's profile. The signature covers the body by
 * its digest (RFC 9530).
 */
import { createHash, timingSafeEqual } from "node:crypto";
import {
  agentSignatureBase,
  findAgentSignature,
  InvalidSignatureHeaderError,
  maxClockSkewSeconds,
  type SignatureFields,
  type SignatureParameters,
} from "../../contract/agent-signature.ts";
import { digestAlgorithm, InvalidContentDigestError, parseContentDigest } from "../../contract/content-digest.ts";
import { assertSecret, InvalidPublicKeyError } from "../../contract/public-key.ts";
import { normaliseAuthority, SignatureBaseError } from "../../contract/signature-base.ts";
import type { RawCall } from "../../rpc/calls/raw-call.ts";
import { finishInTime, type WaitEnd } from "../call-patience.ts";
import {
  type AgentIdentity,
  type IdentityClaims,
  IdentityRefusedError,
  unknownIdentityMessage,
} from "./agent-identity.ts";
import {
  createRegisteredKeys,
  type ReadPublicKeys,
  type RegisteredKey,
  type RegisteredKeys,
  toKeyObject,
} from "./registered-keys.ts";
import type { SignatureChecks } from "./signature-checks.ts";

/** A call with the fields that its signature needs. */
interface SignedRequest extends Omit<RawCall, "headers"> {
  readonly headers: SignatureFields & { readonly contentDigest: string | undefined };
}

/** Returns the fields that a signature needs. Several lines of one name form one list (RFC 9110 section 5.3). */
export function readSignatureHeaders(headers: NodeJS.Dict<string | string[]>): SignedRequest["headers"] {
  const read = (name: string) => {
    const value = headers[name];
    // For HTTP/1.1, Node joins them itself.
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    signatureInput: read("signature-input"),
    signature: read("signature"),
    contentDigest: read("content-digest"),
  };
}

/** Options of `createSignatureVerifier`. */
export interface SignatureVerifierOptions {
  /**
   * Returns whether agents may address this server by this name, in lower case, with or without the scheme's default
   * port.
   */
  readonly isOwnAuthority: (authority: string) => boolean;
  /** Returns the server's time, in milliseconds since the epoch. */
  readonly now: () => number;
  readonly readPublicKeys: ReadPublicKeys;
  readonly checks: Pick<SignatureChecks, "verify">;
}

/** The call that a signature belongs to. */
export interface SignedCall {
  /**
   * Throws the call's error if its signature must not be verified. `machineId` is the machine that the signature names,
   * or undefined if the signature cannot be parsed. Called before any work is done for the call, and again if its check
   * had to wait.
   */
  assertMayTry(machineId: string | undefined): void;
  /** End of the wait for the database. */
  readonly waitEnd: WaitEnd;
  /** Returns whether its signature is verified before others. */
  isUrgent(): boolean;
}

/**
 * Returns the identity that an agent's signature of a call proves, or undefined if the call has no agent's
 * signature, even if others signed it. Throws IdentityRefusedError, errors of the call's `assertMayTry`, and errors of
 * the database.
 */
export type VerifySignature = (rawCall: RawCall, call: SignedCall) => Promise<AgentIdentity | undefined>;

/**
 * Creates a verifier. It does the cheap checks first, and hashes the body last. It does not check the nonce: only the
 * statement that writes the heartbeat can detect a replay on another replica.
 */
export function createSignatureVerifier(options: SignatureVerifierOptions): VerifySignature {
  const keys = createRegisteredKeys(options.readPublicKeys);
  const findProvenKey = createProof(keys, options.checks);
  return async (rawCall, call) => {
    const request = { ...rawCall, headers: readSignatureHeaders(rawCall.headers) };
    const signature = parseSignature(findAgentSignature, request.headers);
    if (signature === undefined) return undefined;
    call.assertMayTry(signature instanceof IdentityRefusedError ? undefined : signature.machineId);
    if (signature instanceof IdentityRefusedError) throw signature;
    const { machineId } = signature;
    const { base, digests } = readCovered(options, request, signature, { machineId });
    const publicKey = await findProvenKey(call, machineId, base, signature.signature);
    assertDigests(digests, request.body, { machineId });
    return { publicKey, remoteAddress: request.remoteAddress, signed: { machineId, nonce: signature.nonce } };
  };
}

/**
 * Returns what a signature covers: the text that it signs, and the digests of the body. Throws IdentityRefusedError if
 * the signature is not fresh, is for another server, or covers no digest that this server knows.
 */
export function readCovered(
  options: Pick<SignatureVerifierOptions, "isOwnAuthority" | "now">,
  request: SignedRequest,
  signature: SignatureParameters,
  claims: IdentityClaims,
) {
  assertFresh(signature, options.now(), claims);
  const scheme = findAgentScheme(request);
  const authority = normaliseAuthority(request.authority, scheme);
  if (!listSpellings(authority, scheme).some(options.isOwnAuthority)) {
    throw new IdentityRefusedError(
      "authority",
      `this server is not ${authority}: sign for the authority it is known by`,
      claims,
    );
  }
  const { contentDigest, digests } = getContentDigest(request, claims);
  return { base: getBase({ ...request, scheme }, contentDigest, signature, claims), digests };
}

/**
 * Returns the scheme that the agent used. A proxy that terminates TLS in front of a plaintext listener may leave the
 * port of https in the name, and no agent names that port with http.
 */
function findAgentScheme({ authority, scheme }: SignedRequest): SignedRequest["scheme"] {
  return authority.endsWith(":443") ? "https" : scheme;
}

/**
 * Returns the equivalent spellings of an authority. A missing port means the scheme's default port (RFC 9110 section
 * 4.2.3).
 */
function listSpellings(authority: string, scheme: SignedRequest["scheme"]): string[] {
  const hasPort = /:\d+$/.test(authority);
  return hasPort ? [authority] : [authority, `${authority}:${scheme === "https" ? 443 : 80}`];
}

/**
 * Parses a signature by `find`. Returns the refusal of fields that follow no profile, so that the caller can be judged
 * first.
 */
export function parseSignature<Signature>(
  find: (fields: SignatureFields) => Signature | undefined,
  fields: SignatureFields,
): Signature | IdentityRefusedError | undefined {
  try {
    return find(fields);
  } catch (error) {
    if (error instanceof InvalidSignatureHeaderError) return new IdentityRefusedError("signature", error.message);
    throw error;
  }
}

function assertFresh({ created }: SignatureParameters, nowMs: number, claims: IdentityClaims): void {
  const ageSeconds = Math.floor(nowMs / 1000) - created;
  if (Math.abs(ageSeconds) <= maxClockSkewSeconds) return;
  const direction = ageSeconds > 0 ? "before" : "after";
  throw new IdentityRefusedError(
    "clock_skew",
    `the signature was created ${Math.abs(ageSeconds)} s ${direction} the server's clock (${maxClockSkewSeconds} s are allowed): correct the clock by the response's Date header and sign again`,
    claims,
  );
}

/** Returns the Content-Digest field and the digests in it, one of which must be SHA-256. */
function getContentDigest({ headers: { contentDigest } }: SignedRequest, claims: IdentityClaims) {
  if (contentDigest === undefined)
    throw new IdentityRefusedError("signature", "a signed request needs content-digest", claims);
  const digests = readDigests(contentDigest, claims);
  if (!digests.has(digestAlgorithm)) {
    throw new IdentityRefusedError("signature", `content-digest has no ${digestAlgorithm}`, claims);
  }
  return { contentDigest, digests };
}

/**
 * Checks the digests of the body. Every digest with a known algorithm must be correct. The cost grows with the body, so
 * the signature must have been verified.
 */
export function assertDigests(
  digests: ReadonlyMap<string, Uint8Array>,
  body: Uint8Array,
  claims: IdentityClaims,
): void {
  for (const [algorithm, digest] of digests) {
    const hash = nodeHashes.get(algorithm);
    if (hash === undefined) continue;
    const expected = createHash(hash).update(body).digest();
    if (digest.length !== expected.length || !timingSafeEqual(digest, expected)) {
      throw new IdentityRefusedError("signature", `content-digest: ${algorithm} does not match the body`, claims);
    }
  }
}

/** Names in node:crypto of the algorithms in RFC 9530 section 5 that resist forgery. */
const nodeHashes: ReadonlyMap<string, string> = new Map([
  ["sha-256", "sha256"],
  ["sha-512", "sha512"],
]);

function readDigests(contentDigest: string, claims: IdentityClaims): Map<string, Uint8Array> {
  try {
    return parseContentDigest(contentDigest);
  } catch (error) {
    if (error instanceof InvalidContentDigestError) throw new IdentityRefusedError("signature", error.message, claims);
    throw error;
  }
}

function getBase(
  request: SignedRequest,
  contentDigest: string,
  signature: SignatureParameters,
  claims: IdentityClaims,
): Buffer {
  const { method, scheme, authority, path } = request;
  try {
    return Buffer.from(agentSignatureBase({ method, scheme, authority, path, contentDigest }, signature));
  } catch (error) {
    if (!(error instanceof SignatureBaseError)) throw error;
    throw new IdentityRefusedError("signature", error.message, claims);
  }
}

/**
 * Creates the function that returns the machine's key if the signature is by it, and throws otherwise. Refusing an
 * unknown machine costs one verification and one read, as refusing a wrong key does, so that the time does not reveal
 * which it is.
 */
function createProof(keys: RegisteredKeys, checks: Pick<SignatureChecks, "verify">) {
  return async (
    call: SignedCall,
    machineId: string,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<Uint8Array> => {
    const isUrgent = () => call.isUrgent();
    const assertWanted = () => call.assertMayTry(machineId);
    const isGenuine = ({ keyObject: key }: Pick<RegisteredKey, "keyObject">) =>
      checks.verify({ message, key, signature, isUrgent, assertWanted });
    const recalled = keys.recall(machineId);
    if (recalled !== undefined && (await isGenuine(recalled))) return recalled.publicKey;
    const key = await finishInTime(call.waitEnd, () => keys.read(machineId, isUrgent()));
    const isRecalled =
      key !== undefined && recalled !== undefined && Buffer.compare(key.publicKey, recalled.publicKey) === 0;
    if (isRecalled || !(await isGenuine(key ?? decoy)) || key === undefined) {
      throw new IdentityRefusedError("unknown_identity", unknownIdentityMessage, {
        machineId,
        ...(key && { publicKey: key.publicKey }),
      });
    }
    refusePublished(machineId, key);
    keys.remember(machineId, key);
    return key.publicKey;
  };
}

/**
 * Throws IdentityRefusedError if the private half of the key is public. A server that did not know this may have
 * registered the key.
 */
function refusePublished(machineId: string, { publicKey }: RegisteredKey): void {
  try {
    assertSecret(publicKey);
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    throw new IdentityRefusedError("signature", `the machine's key is not accepted: ${error.message}`, {
      machineId,
      publicKey,
    });
  }
}

/**
 * Key that is checked instead for an unknown machine. It is Ed25519's base point, a valid key whose private half is
 * public, so it must never identify a machine.
 */
const decoy = { keyObject: toKeyObject(Buffer.from(`58${"66".repeat(31)}`, "hex")) };
