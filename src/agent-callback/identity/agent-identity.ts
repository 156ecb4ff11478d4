/** The identity that an agent has proved, and the refusal of requests without one. */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { Logger } from "pino";
import { createRefusalLines } from "../../rpc/callers/refusal-lines.ts";

/** A key whose private half the caller proved to hold. The database decides whether it belongs to a machine. */
export interface AgentIdentity {
  /** 32 bytes, canonical and not of small order. */
  readonly publicKey: Uint8Array;
  /** IP address of the caller, for the log. */
  readonly remoteAddress: string | undefined;
  /**
   * SHA-256 of the client certificate, which Monogon's agent creates anew each time it starts. So it tells the agent's
   * process from earlier ones with the same key. Absent if the proof is an HTTP signature.
   */
  readonly process?: Uint8Array;
  /** Machine and nonce that an HTTP signature covers; absent if the proof is a TLS client certificate. */
  readonly signed?: { readonly machineId: string; readonly nonce: bigint };
}

/** The identity of an agent that has no machine id yet. */
export interface KeyIdentity extends Pick<AgentIdentity, "publicKey" | "remoteAddress"> {
  /** Nonce that an HTTP signature covers; absent if the proof is a TLS client certificate. */
  readonly nonce?: bigint | undefined;
}

/** What a caller without a proof claims to be, for the log. */
export interface IdentityClaims {
  readonly machineId?: string;
  readonly publicKey?: Uint8Array;
}

/** Reasons for refusing a proof, as operators count them: by the check that fails, not by the caller. */
export type IdentityRefusal =
  | "no_proof"
  | "certificate"
  | "signature"
  | "clock_skew"
  | "authority"
  | "unknown_identity"
  | "replayed";

/**
 * Error `unauthenticated` for a request that proves no identity. `machineId` and `publicKey` are claims, for the log.
 */
export class IdentityRefusedError extends ConnectError {
  readonly refusal: IdentityRefusal;
  readonly machineId: string | undefined;
  readonly publicKey: Uint8Array | undefined;
  constructor(refusal: IdentityRefusal, message: string, claims: IdentityClaims = {}) {
    super(message, Code.Unauthenticated);
    this.refusal = refusal;
    this.machineId = claims.machineId;
    this.publicKey = claims.publicKey;
  }

  /** Replaces the inherited check, which accepts every ConnectError. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "refusal" in value;
  }
}

/** Logs the one line of a refused identity: the claims, the address and the reason. */
export type LogRefusal = (refusal: IdentityRefusedError, remoteAddress: string | undefined) => void;

/** Creates a log of refusals: a limited number of lines at warn level, the others at debug. */
export function createRefusalLog(log: Logger): LogRefusal {
  const takeLine = createRefusalLines();
  return ({ machineId, publicKey, rawMessage: reason }, remoteAddress) => {
    const { level, ...unlogged } = takeLine(remoteAddress ?? "unknown");
    const key = publicKey && Buffer.from(publicKey).toString("hex");
    log[level]({ machineId, publicKey: key, remoteAddress, reason, ...unlogged }, "refused an agent's identity");
  };
}

/**
 * Message for an unknown machine, a wrong key and a signature by another key. It is the same for all three, so that it
 * does not reveal which.
 */
export const unknownIdentityMessage = "machine id or public key unknown";

/**
 * Throws IdentityRefusedError if the caller's signature names a different machine than its heartbeat. A client
 * certificate names no machine.
 */
export function assertSpeaksFor({ signed }: AgentIdentity, claims: { machineId: string; publicKey: Uint8Array }): void {
  if (signed === undefined || signed.machineId === claims.machineId) return;
  throw new IdentityRefusedError("unknown_identity", unknownIdentityMessage, claims);
}

/** Context key of the identity of an agent without a machine id, set before its call's handler runs. */
export const keyIdentityKey = createContextKey<KeyIdentity | undefined>(undefined, {
  description: "key that the calling agent proved",
});

/** Context key of a call's identity, set before its handler runs. */
export const agentIdentityKey = createContextKey<AgentIdentity | undefined>(undefined, {
  description: "identity that the calling agent proved",
});
