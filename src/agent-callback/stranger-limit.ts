/**
 * Bounds the work that strangers can cause: after too many calls from an address that failed to prove an agent, further
 * ones are refused unexamined for a while.
 *
 * Agents may share such an address, when it is that of a proxy or a rack. An agent whose heartbeat has counted since
 * the server started is examined nevertheless. With a certificate, no other caller can pretend to be it. Callers that
 * name its machine in a signature that turns out invalid use up a separate allowance from that of strangers.
 */
import { Code, type ContextValues, createContextKey } from "@connectrpc/connect";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit, toParty } from "../rpc/callers/attempt-limit.ts";
import { type CallRecord, nameCode, okCode } from "../rpc/calls/call-record.ts";
import { defaultRetryAfterSeconds } from "../rpc/calls/error-mapping.ts";
import { agentIdentityKey } from "./identity/agent-identity.ts";

/** Facts about a caller that are known before its signature is verified. */
export interface Claim {
  readonly remoteAddress: string | undefined;
  /** Machine that the call's signature names. */
  readonly machineId?: string | undefined;
  /** Key of the connection's certificate. The caller has proved to hold its private half. */
  readonly publicKey?: Uint8Array | undefined;
  /** Whether the call is an enrolment. Then it claims nothing else, and every one that was examined counts. */
  readonly isEnrolment?: true;
}

/** Too many calls from the address failed to prove an agent, or were enrolments. This one was not examined. */
export class AddressLimitError extends Error {
  override readonly name = "AddressLimitError";
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number, isEnrolment = false) {
    super(
      isEnrolment
        ? "too many enrolments come from your address: retry later"
        : "too many calls from your address failed authentication: retry later",
    );
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Bounds how many calls from one address may fail to prove a registered agent, and separately how many enrolments may
 * come from it.
 */
export interface StrangerLimit {
  /** Records the claim of a call. Throws AddressLimitError if the call must not be examined now. */
  assertMayTry(claim: Claim, values: ContextValues): void;
  /**
   * Returns whether the claim is that of an agent whose heartbeat has counted since the server started. A signature
   * that is not verified yet only names its machine: it is not believed while its address has used up its allowance of
   * false names.
   */
  isKnown(claim: Claim): boolean;
  /** Must be called when a call has ended. */
  noteCall(record: Pick<CallRecord, "code" | "values">): void;
}

const claimKey = createContextKey<Claim | undefined>(undefined, { description: "who the caller claims to be" });

/**
 * Default limit on failed calls of one party. An examined failure costs as much as a few heartbeats. A rack of a
 * thousand unregistered machines stays below the limit.
 *
 * @public
 */
export const defaultFailureRule: AttemptRule = { burst: 200, secondsPerAttempt: 0.02, maxParties: 10_000 };
/** Maximum number of remembered agents, each of less than 200 bytes. */
const maxAgents = 100_000;
/** Limits on log lines for one address, and for all addresses together. */
const lineRule: AttemptRule = { burst: 1, secondsPerAttempt: 60, maxParties: 10_000 };
const allLinesRule: AttemptRule = { burst: 50, secondsPerAttempt: 1, maxParties: 1 };

/** Code with which a call ends that proves no registered agent. */
const unprovenCode = nameCode(Code.Unauthenticated);
/** Codes with which only an agent's call ends, and codes that say nothing about the caller. */
const agentsCodes: ReadonlySet<string> = new Set([okCode, nameCode(Code.FailedPrecondition)]);
const serversCodes: ReadonlySet<string> = new Set(
  [Code.Unavailable, Code.Internal, Code.ResourceExhausted, Code.Unknown].map(nameCode),
);
/** Codes that callers can cause themselves, by disconnecting or by an impossible deadline. */
const callersCodes: ReadonlySet<string> = new Set([Code.Canceled, Code.DeadlineExceeded].map(nameCode));

/** Creates a limit without known agents. */
export function createStrangerLimit(
  log: Logger,
  { rule = defaultFailureRule, random = Math.random }: { rule?: AttemptRule; random?: () => number } = {},
): StrangerLimit {
  const strangers = createAttemptLimit(rule);
  const impostors = createAttemptLimit(rule);
  const enrolments = createAttemptLimit(rule);
  const lines = createAttemptLimit(lineRule);
  const allLines = createAttemptLimit(allLinesRule);
  const agents = new LRUCache<string, true>({ max: maxAgents });

  const isBelieved = (claim: Claim) => claim.publicKey !== undefined || impostors.look(partyOf(claim)) === undefined;
  const isAgent = (claim: Claim) => agents.get(nameOf(claim)) === true;

  function isWelcome(claim: Claim, party: string): boolean {
    if (claim.isEnrolment && enrolments.look(party) !== undefined) return false;
    const [areStrangers, areImpostors] = [strangers, impostors].map((limit) => limit.look(party) === undefined);
    if (areStrangers && areImpostors) return true;
    if (!isAgent(claim)) return areStrangers === true;
    return claim.publicKey !== undefined || areImpostors === true;
  }

  function noteFailure(claim: Claim): void {
    const party = partyOf(claim);
    if (!isAgent(claim)) {
      strangers.charge(party);
      return;
    }
    impostors.charge(party);
    // The key is no longer registered.
    if (claim.publicKey !== undefined) agents.delete(nameOf(claim));
  }

  return {
    assertMayTry(claim, values) {
      const party = partyOf(claim);
      if (isWelcome(claim, party)) {
        values.set(claimKey, claim);
        return;
      }
      if (lines.take(party) === undefined && allLines.take("all") === undefined) {
        log.warn(
          { remoteAddress: claim.remoteAddress },
          claim.isEnrolment
            ? "too many enrolments come from this address: for a while, the server refuses more of them"
            : "too many calls from this address failed authentication: for a while, the server accepts only agents that have called before",
        );
      }
      throw new AddressLimitError(Math.round(defaultRetryAfterSeconds * (1 + random())), claim.isEnrolment);
    },
    isKnown: (claim) => isAgent(claim) && isBelieved(claim),
    noteCall({ code, values }) {
      const claim = values.get(claimKey);
      if (claim === undefined || serversCodes.has(code)) return;
      if (claim.isEnrolment) {
        enrolments.charge(partyOf(claim));
        return;
      }
      // A caller that signs for a machine and leaves before the signature is verified has proved nothing.
      const isUnproven = claim.machineId !== undefined && values.get(agentIdentityKey) === undefined;
      const isFailure = code === unprovenCode || (isUnproven && callersCodes.has(code));
      if (agentsCodes.has(code)) agents.set(nameOf(claim), true);
      else if (isFailure || !isAgent(claim)) noteFailure(claim);
    },
  };
}

function partyOf({ remoteAddress }: Claim): string {
  return toParty(remoteAddress ?? "unknown");
}

/** Returns the name of a claimed agent: the machine for a signature, the key for a certificate. */
function nameOf({ machineId, publicKey }: Claim): string {
  return machineId ?? Buffer.from(publicKey ?? []).toString("base64");
}
