/**
 * Bounds what strangers can make the server do: an address whose calls fail to prove an agent too often has no more of them looked at
 * for a while.
 *
 * Agents stand behind such an address as well, when it is a proxy's or a rack's. One that has counted before is looked at
 * nevertheless: by a certificate nobody can pretend to be it, and who only names its machine in a signature that turns out false uses
 * up another allowance than strangers do.
 */
import { Code, type ContextValues, createContextKey } from "@connectrpc/connect";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit } from "../rpc/callers/attempt-limit.ts";
import { toParty } from "../rpc/callers/client-address.ts";
import { type CallRecord, nameCode, okCode } from "../rpc/calls/call-record.ts";
import { defaultRetryAfterSeconds } from "../rpc/calls/error-mapping.ts";
import { agentIdentityKey } from "./identity/agent-identity.ts";

/** Who calls, as far as that is known before a signature is verified. */
export interface Claim {
  readonly remoteAddress: string | undefined;
  /** The machine that the call's signature names. */
  readonly machineId?: string | undefined;
  /** Of the connection's certificate, whose private half the caller holds. */
  readonly publicKey?: Uint8Array | undefined;
}

/** An address has sent too many calls that failed to prove an agent; this one was not looked at. */
export class AddressLimitError extends Error {
  override readonly name = "AddressLimitError";
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super("too many calls from your address failed to prove a registered agent: send this one again later");
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Bounds how many calls from one address may fail to prove a registered agent. */
export interface StrangerLimit {
  /** Notes what a call claims. Throws AddressLimitError for who is not to be looked at now. */
  assertMayTry(claim: Claim, values: ContextValues): void;
  /**
   * Whether the claim is that of an agent whose heartbeats have counted since the server began. A signature that is not verified yet
   * only names its machine: it is not believed while its address has used up what may name machines falsely.
   */
  isKnown(claim: Claim): boolean;
  /** A call is over. */
  noteCall(record: Pick<CallRecord, "code" | "values">): void;
}

const claimKey = createContextKey<Claim | undefined>(undefined, { description: "who the caller claims to be" });

/**
 * A failure that was looked at costs as much as a few heartbeats. A rack of a thousand machines that nobody has registered yet stays
 * below it.
 *
 * @public
 */
export const defaultFailureRule: AttemptRule = { burst: 200, secondsPerAttempt: 0.02, maxParties: 10_000 };
/** Agents that are remembered, each by less than 200 bytes. */
const maxAgents = 100_000;
/** Lines in the log for one address, and for all of them. */
const lineRule: AttemptRule = { burst: 1, secondsPerAttempt: 60, maxParties: 10_000 };
const allLinesRule: AttemptRule = { burst: 50, secondsPerAttempt: 1, maxParties: 1 };

/** What only an agent's call ends with, and what says nothing of its caller. */
const agentsCodes: ReadonlySet<string> = new Set([okCode, nameCode(Code.FailedPrecondition)]);
const serversCodes: ReadonlySet<string> = new Set(
  [Code.Unavailable, Code.Internal, Code.ResourceExhausted, Code.Unknown].map(nameCode),
);
/** What callers bring about themselves, by hanging up or by a deadline that nobody can keep. */
const callersCodes: ReadonlySet<string> = new Set([Code.Canceled, Code.DeadlineExceeded].map(nameCode));

/** Knows nobody yet. */
export function createStrangerLimit(
  log: Logger,
  { rule = defaultFailureRule, random = Math.random }: { rule?: AttemptRule; random?: () => number } = {},
): StrangerLimit {
  const strangers = createAttemptLimit(rule);
  const impostors = createAttemptLimit(rule);
  const lines = createAttemptLimit(lineRule);
  const allLines = createAttemptLimit(allLinesRule);
  const agents = new LRUCache<string, true>({ max: maxAgents });

  const isBelieved = (claim: Claim) => claim.publicKey !== undefined || impostors.look(partyOf(claim)) === undefined;
  const isAgent = (claim: Claim) => agents.get(nameOf(claim)) === true;

  function isWelcome(claim: Claim, party: string): boolean {
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
    // The key was an agent's, and is no longer.
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
          "too many calls from this address fail to prove a registered agent: for a while only agents that have called before are looked at",
        );
      }
      throw new AddressLimitError(Math.round(defaultRetryAfterSeconds * (1 + random())));
    },
    isKnown: (claim) => isAgent(claim) && isBelieved(claim),
    noteCall({ code, values }) {
      const claim = values.get(claimKey);
      if (claim === undefined || serversCodes.has(code)) return;
      // Who names an agent in a signature and does not wait until it is verified has proven nothing.
      const isUnproven = claim.machineId !== undefined && values.get(agentIdentityKey) === undefined;
      const isFailure = code === nameCode(Code.Unauthenticated) || (isUnproven && callersCodes.has(code));
      if (agentsCodes.has(code)) agents.set(nameOf(claim), true);
      else if (isFailure || !isAgent(claim)) noteFailure(claim);
    },
  };
}

function partyOf({ remoteAddress }: Claim): string {
  return toParty(remoteAddress ?? "unknown");
}

/** A signature speaks for its machine whatever the key; a certificate for its key. */
function nameOf({ machineId, publicKey }: Claim): string {
  return machineId ?? Buffer.from(publicKey ?? []).toString("base64");
}
