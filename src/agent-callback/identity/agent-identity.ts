/** Who an agent proved to be, and how a request that did not is refused. */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { Logger } from "pino";
import { createRefusalLines } from "../../rpc/callers/refusal-lines.ts";

/** A key whose private half the caller proved to hold; whether it speaks for a machine is for the database to say. */
export interface AgentIdentity {
  /** 32 bytes, canonical and not of small order. */
  readonly publicKey: Uint8Array;
  /** Network address of the caller, for the log. */
  readonly remoteAddress: string | undefined;
  /** What an HTTP signature says beyond its key; absent when the proof is a TLS client certificate. */
  readonly signed?: { readonly machineId: string; readonly nonce: bigint };
}

/** What is wrong with a proof, as operators count it: where it fails, not for whom. */
export type IdentityRefusal =
  | "no_proof"
  | "certificate"
  | "signature"
  | "clock_skew"
  | "authority"
  | "unknown_identity"
  | "replayed";

/** Why a request proves no identity; `machineId` and `publicKey` are claims, for the log. */
export class IdentityRefusedError extends ConnectError {
  readonly refusal: IdentityRefusal;
  readonly machineId: string | undefined;
  readonly publicKey: Uint8Array | undefined;
  constructor(refusal: IdentityRefusal, message: string, claims: { machineId?: string; publicKey?: Uint8Array } = {}) {
    super(message, Code.Unauthenticated);
    this.refusal = refusal;
    this.machineId = claims.machineId;
    this.publicKey = claims.publicKey;
  }

  /** The one that it would inherit takes any ConnectError for one of these. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "refusal" in value;
  }
}

/** Logs who was refused, and why; the one line that every refused identity leaves. */
export type LogRefusal = (refusal: IdentityRefusedError, remoteAddress: string | undefined) => void;

/** Makes what logs refusals: loud ones within a budget, the others at debug. */
export function createRefusalLog(log: Logger): LogRefusal {
  const takeLine = createRefusalLines();
  return ({ machineId, publicKey, rawMessage: reason }, remoteAddress) => {
    const { level, ...unlogged } = takeLine(remoteAddress ?? "unknown");
    const key = publicKey && Buffer.from(publicKey).toString("hex");
    log[level]({ machineId, publicKey: key, remoteAddress, reason, ...unlogged }, "refused an agent's identity");
  };
}

/** The same words for an unknown machine, for a wrong key and for a signature of another key: which it is stays ours. */
export const unknownIdentityMessage = "machine id or public key unknown";

/**
 * Throws IdentityRefusedError when the caller's signature names another machine than its heartbeat. A client certificate names none.
 */
export function assertSpeaksFor({ signed }: AgentIdentity, claims: { machineId: string; publicKey: Uint8Array }): void {
  if (signed === undefined || signed.machineId === claims.machineId) return;
  throw new IdentityRefusedError("unknown_identity", unknownIdentityMessage, claims);
}

/** The identity of a call, set before its handler runs. */
export const agentIdentityKey = createContextKey<AgentIdentity | undefined>(undefined, {
  description: "identity that the calling agent proved",
});
