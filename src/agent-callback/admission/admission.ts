/**
 * Decides which calls are admitted while more arrive than the server can handle. The others are refused before any work
 * is done for them.
 *
 * The server is overloaded when a heartbeat would wait too long in the call queue and for its signature's check, or too
 * long for the database. Until then calls only wait, since a fleet that returns all at once is best served in order. A
 * refused call costs only the reading of its bytes: no digest, signature check or decoding. An installation report of
 * an agent that the server knows is not refused for overload, because it keeps the agent from a second installation.
 */
import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { CallRecord } from "../../rpc/calls/call-record.ts";
import { defaultRetryAfterSeconds } from "../../rpc/calls/error-mapping.ts";
import type { Authenticate, CallConnection } from "../../rpc/calls/raw-call.ts";
import { callerGone } from "../../rpc/wire/request-body.ts";
import { type HeartbeatObserver, observeRefusal } from "../heartbeat-observer.ts";
import type { HeartbeatWriter } from "../heartbeat-writer.ts";
import type { SignatureChecks } from "../identity/signature-checks.ts";
import { getOverloadedError } from "../queues/overloaded-error.ts";
import { createCallQueue } from "./call-queue.ts";
import { createRestingConnections } from "./resting-connections.ts";
import type { IsUrgent } from "./urgent-calls.ts";

/** Limits of an admission. Beyond them, calls are refused. */
export interface AdmissionLimits {
  /** Maximum number of calls under way, from their headers to their answers. Bounds their memory. */
  readonly maxCalls: number;
  /** Longest expected wait of a heartbeat for its transaction, in milliseconds. */
  readonly maxWaitMs: number;
  /** Longest expected wait of a call in the call queue and for its signature's check, in milliseconds. */
  readonly maxLineMs: number;
}

/**
 * Default limits. Agents disconnect after 10 s, and an admitted heartbeat is answered long before that.
 *
 * @public
 */
export const defaultAdmissionLimits: AdmissionLimits = { maxCalls: 20_000, maxWaitMs: 1_000, maxLineMs: 500 };

/** Options of `createAdmission`. */
export interface AdmissionOptions {
  readonly writer: Pick<HeartbeatWriter, "expectedWaitMs">;
  readonly checks: Pick<SignatureChecks, "expectedWaitMs" | "waitingCount">;
  readonly isUrgent: IsUrgent;
  /** Returns the factor by which agents' intervals are lengthened now; 1 or more. */
  readonly slowdown: () => number;
  /** Returns a number from 0 up to 1. */
  readonly random: () => number;
  readonly observer: HeartbeatObserver;
  /**
   * Called before waiting calls occupy the processor for a while, so that ready answers are sent first. Default: does
   * nothing.
   */
  readonly beforeSlice?: () => void;
  readonly limits?: AdmissionLimits;
}

/** Admits or refuses calls. */
export interface Admission {
  /**
   * Returns a function that authenticates admitted calls, and throws ConnectError with `resource_exhausted` for the
   * others.
   */
  guard(authenticate: Authenticate): Authenticate;
  /** Must be called when a call has ended, whether or not it was admitted. */
  noteCall(record: Pick<CallRecord, "values">): void;
  /** Number of calls under way. */
  readonly callCount: number;
  /**
   * Returns the refused share of the calls whose bodies have arrived since the last call of this function; 0 for no
   * calls.
   */
  takeRefusedShare(): number;
}

const underWayKey = createContextKey(false, { description: "whether the call counts among those under way" });
/**
 * Longest base time after which refused callers are asked to try again, in seconds. A random time of at most the same
 * length is added.
 */
const maxRetryAfterSeconds = 30;
/**
 * Maximum number of waiting signature checks at which queued calls still begin. They keep the pool busy until the next
 * calls have begun.
 */
const maxWaitingChecks = 64;
/** Number of resting connections that are read again in one turn of the event loop. */
const wokenPerTurn = 32;
/** Time after which the server checks again whether there is room for resting connections, in milliseconds. */
const lookAgainMs = 10;

/** Creates the admission of one server. */
export function createAdmission(options: AdmissionOptions): Admission {
  const { writer, checks, limits = defaultAdmissionLimits } = options;
  const resting = createRestingConnections();
  const line = createCallQueue({
    askForMore: wakeConnections,
    hasRoom: () => checks.waitingCount <= maxWaitingChecks,
    ...(options.beforeSlice && { beforeSlice: options.beforeSlice }),
  });
  let callCount = 0;
  let admitted = 0;
  let refused = 0;
  let isLookDue = false;

  function refuse(): never {
    const base = Math.min(defaultRetryAfterSeconds * options.slowdown(), maxRetryAfterSeconds);
    const error = getOverloadedError(Math.round(base * (1 + options.random())));
    observeRefusal(options.observer, error);
    throw error;
  }

  /**
   * Returns whether the expected waits exceed this share of the limits. Below half of them there is room for resting
   * connections.
   */
  function isBehind(share = 1): boolean {
    return (
      writer.expectedWaitMs > share * limits.maxWaitMs ||
      line.expectedWaitMs + checks.expectedWaitMs > share * limits.maxLineMs
    );
  }

  /**
   * Reads some resting connections again if there is room. Returns whether the queue should ask again at the end of its
   * next turn.
   */
  function wakeConnections(): boolean {
    if (resting.count === 0) return false;
    if (isBehind(0.5)) {
      if (!isLookDue) setTimeout(lookAgain, lookAgainMs).unref();
      isLookDue = true;
      return false;
    }
    resting.wake(wokenPerTurn);
    return resting.count > 0;
  }

  function lookAgain(): void {
    isLookDue = false;
    line.fill();
  }

  /** Counts a call whose headers have arrived, or refuses it. */
  function enter(values: ContextValues): void {
    if (callCount >= limits.maxCalls) refuse();
    callCount++;
    values.set(underWayKey, true);
  }

  /** Admits or refuses a call whose body has arrived. */
  function admit(isUrgent: boolean, connection: CallConnection): void {
    if (!isUrgent && isBehind()) {
      refused++;
      resting.rest(connection);
      // If no further call comes, nothing else wakes the resting connections.
      line.fill();
      refuse();
    }
    admitted++;
  }

  /** Resolves when it is the call's turn. Rejects if its caller has left by then. */
  function standInLine(isUrgent: boolean, values: ContextValues): Promise<void> {
    return new Promise((resolve, reject) => {
      line.add({ isUrgent, begin: () => (values.get(underWayKey) ? resolve() : reject(callerGone())) });
    });
  }

  return {
    guard: (authenticate) => (connection, values) => {
      enter(values);
      const finish = authenticate(connection, values);
      return (call) => {
        if (!isBehind() && line.passes()) {
          admitted++;
          return finish(call);
        }
        const isUrgent = options.isUrgent(call, connection);
        admit(isUrgent, connection);
        return standInLine(isUrgent, values).then(() => finish(call));
      };
    },
    noteCall({ values }) {
      if (!values.get(underWayKey)) return;
      callCount--;
      values.set(underWayKey, false);
    },
    get callCount() {
      return callCount;
    },
    takeRefusedShare() {
      const share = refused === 0 ? 0 : refused / (refused + admitted);
      [admitted, refused] = [0, 0];
      return share;
    },
  };
}
