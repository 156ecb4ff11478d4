/** Identity by an HTTP message signature (RFC 9421) in the one profile of this project, over a body tied to it by its digest (RFC 9530). */
import { createHash, timingSafeEqual } from "node:crypto";
import {
  type AgentSignature,
  agentSignatureBase,
  findAgentSignature,
  InvalidSignatureHeaderError,
  maxClockSkewSeconds,
  type SignatureFields,
} from "../../contract/agent-signature.ts";
import { digestAlgorithm, InvalidContentDigestError, parseContentDigest } from "../../contract/content-digest.ts";
import { assertSecret, InvalidPublicKeyError } from "../../contract/public-key.ts";
import { normaliseAuthority, SignatureBaseError } from "../../contract/signature-base.ts";
import { finishInTime, type WaitEnd } from "../call-deadline.ts";
import { type AgentIdentity, IdentityRefusedError, unknownIdentityMessage } from "./agent-identity.ts";
import {
  createRegisteredKeys,
  type ReadPublicKeys,
  type RegisteredKey,
  type RegisteredKeys,
  toKeyObject,
} from "./registered-keys.ts";
import type { SignatureChecks } from "./signature-checks.ts";

/** A request as its signature covers it. */
export interface SignedRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly path: string;
  readonly headers: SignatureFields & { readonly contentDigest: string | undefined };
  readonly remoteAddress: string | undefined;
  /** The body exactly as sent. */
  readonly body: Uint8Array;
}

/** The fields of a request that a signature needs; lines of one name are one list (RFC 9110 section 5.3). */
export function readSignatureHeaders(headers: NodeJS.Dict<string | string[]>): SignedRequest["headers"] {
  const read = (name: string) => {
    const value = headers[name];
    // Node joins those of HTTP/1.1 by itself.
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    signatureInput: read("signature-input"),
    signature: read("signature"),
    contentDigest: read("content-digest"),
  };
}

/** What verification needs of the server. */
export interface SignatureVerifierOptions {
  /** Whether agents may address this server by this name, in lower case; the scheme's default port may be there or not. */
  readonly isOwnAuthority: (authority: string) => boolean;
  /** Server's clock, in milliseconds since the epoch. */
  readonly now: () => number;
  readonly readPublicKeys: ReadPublicKeys;
  readonly checks: Pick<SignatureChecks, "verify">;
}

/** Whose request it is. */
export interface SignedCall {
  /**
   * Throws what becomes of a call whose signature names this machine, undefined when it cannot be read, if it is not to be looked at.
   * Asked before anything is spent on it, and again when it had to wait.
   */
  assertMayTry(machineId: string | undefined): void;
  /** Until when to wait for the database; see `finishInTime`. */
  readonly waitEnd: WaitEnd;
  /** Whether its signature is verified before those of others. */
  isUrgent(): boolean;
}

/**
 * Returns the identity that the agent's signature of a request proves, undefined when the request has none, whoever else signed it.
 * Throws IdentityRefusedError, and as the database does.
 */
export type VerifySignature = (request: SignedRequest, call: SignedCall) => Promise<AgentIdentity | undefined>;

/**
 * A verifier. It checks what costs nothing first; the nonce it leaves to the statement that writes the heartbeat, the only place
 * where a replay on another replica can be seen.
 */
export function createSignatureVerifier(options: SignatureVerifierOptions): VerifySignature {
  const keys = createRegisteredKeys(options.readPublicKeys);
  const findProvenKey = createProof(keys, options.checks);
  return async (request, call) => {
    const signature = readSignature(request, call);
    if (signature === undefined) return undefined;
    const { machineId } = signature;
    assertFresh(signature, options.now());
    const authority = normaliseAuthority(request.authority, request.scheme);
    if (!listSpellings(authority, request.scheme).some(options.isOwnAuthority)) {
      throw new IdentityRefusedError(
        "authority",
        `this server is not ${authority}: sign for the authority it is known by`,
        {
          machineId,
        },
      );
    }
    const contentDigest = assertDigest(request, machineId);
    const base = getBase(request, contentDigest, signature);
    const publicKey = await findProvenKey(call, machineId, base, signature.signature);
    return { publicKey, remoteAddress: request.remoteAddress, signed: { machineId, nonce: signature.nonce } };
  };
}

/** A name without a port is the same as with the port that the scheme implies (RFC 9110 section 4.2.3). */
function listSpellings(authority: string, scheme: SignedRequest["scheme"]): string[] {
  const hasPort = /:\d+$/.test(authority);
  return hasPort ? [authority] : [authority, `${authority}:${scheme === "https" ? 443 : 80}`];
}

function readSignature({ headers }: SignedRequest, call: SignedCall): AgentSignature | undefined {
  const signature = parseSignature(headers);
  if (signature === undefined) return undefined;
  call.assertMayTry(signature instanceof IdentityRefusedError ? undefined : signature.machineId);
  if (signature instanceof IdentityRefusedError) throw signature;
  return signature;
}

function parseSignature(fields: SignatureFields): AgentSignature | IdentityRefusedError | undefined {
  try {
    return findAgentSignature(fields);
  } catch (error) {
    if (error instanceof InvalidSignatureHeaderError) return new IdentityRefusedError("signature", error.message);
    throw error;
  }
}

function assertFresh({ created, machineId }: AgentSignature, nowMs: number): void {
  const ageSeconds = Math.floor(nowMs / 1000) - created;
  if (Math.abs(ageSeconds) <= maxClockSkewSeconds) return;
  const direction = ageSeconds > 0 ? "before" : "after";
  throw new IdentityRefusedError(
    "clock_skew",
    `the signature was created ${Math.abs(ageSeconds)} s ${direction} the server's clock (${maxClockSkewSeconds} s are allowed): correct the clock by the response's Date header and sign again`,
    { machineId },
  );
}

/** Every digest of an algorithm that is known here must be right, and one of them must be SHA-256. */
function assertDigest(request: SignedRequest, machineId: string): string {
  const { contentDigest } = request.headers;
  if (contentDigest === undefined)
    throw new IdentityRefusedError("signature", "a signed request needs content-digest", { machineId });
  const digests = readDigests(contentDigest, machineId);
  if (!digests.has(digestAlgorithm)) {
    throw new IdentityRefusedError("signature", `content-digest has no ${digestAlgorithm}`, { machineId });
  }
  for (const [algorithm, digest] of digests) {
    const hash = nodeHashes.get(algorithm);
    if (hash === undefined) continue;
    const expected = createHash(hash).update(request.body).digest();
    if (digest.length !== expected.length || !timingSafeEqual(digest, expected)) {
      throw new IdentityRefusedError("signature", `content-digest: ${algorithm} is not that of the body`, {
        machineId,
      });
    }
  }
  return contentDigest;
}

/** RFC 9530 section 5's algorithms that are safe against a forger, by node:crypto's names. */
const nodeHashes: ReadonlyMap<string, string> = new Map([
  ["sha-256", "sha256"],
  ["sha-512", "sha512"],
]);

function readDigests(contentDigest: string, machineId: string): Map<string, Uint8Array> {
  try {
    return parseContentDigest(contentDigest);
  } catch (error) {
    if (error instanceof InvalidContentDigestError)
      throw new IdentityRefusedError("signature", error.message, { machineId });
    throw error;
  }
}

function getBase(request: SignedRequest, contentDigest: string, signature: AgentSignature): Buffer {
  const { method, scheme, authority, path } = request;
  try {
    return Buffer.from(agentSignatureBase({ method, scheme, authority, path, contentDigest }, signature));
  } catch (error) {
    if (!(error instanceof SignatureBaseError)) throw error;
    throw new IdentityRefusedError("signature", error.message, { machineId: signature.machineId });
  }
}

/**
 * Makes what returns the machine's key if it made the signature, and throws otherwise. That costs one verification and one read whether
 * the machine is unknown or the key another one, so that time does not tell them apart.
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

/** A key may have been registered by a server that did not know it yet. */
function refusePublished(machineId: string, { publicKey }: RegisteredKey): void {
  try {
    assertSecret(publicKey);
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    throw new IdentityRefusedError("signature", `the machine's key is refused: ${error.message}`, {
      machineId,
      publicKey,
    });
  }
}

/** Ed25519's base point: a sound key whose private half is public, so it must never stand for a machine. */
const decoy = { keyObject: toKeyObject(Buffer.from(`58${"66".repeat(31)}`, "hex")) };
