/**
 * Which calls are taken on while more come than can be served: the others are refused before anything is spent on them.
 *
 * The server is past its capacity when a heartbeat would stand in line too long for the processor, or wait too long for the database. Up
 * to there nobody is refused, since a fleet that comes back all at once is best served one after the other. What is refused costs the
 * reading of its bytes: no digest, no signature, no decoding. An installation report of an agent that the server knows is never refused
 * with the others: it stands between the agent and a second installation.
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

/** Past these the server is overloaded. */
export interface AdmissionLimits {
  /** Calls under way, from their headers to their answers: what they hold in memory. */
  readonly maxCalls: number;
  /** Time that a heartbeat would wait for its transaction, in milliseconds. */
  readonly maxWaitMs: number;
  /** Time that a call would stand in line, and its signature wait to be verified, in milliseconds. */
  readonly maxLineMs: number;
}

/**
 * Agents hang up after 10 s; a heartbeat that is taken on is answered long before.
 *
 * @public
 */
export const defaultAdmissionLimits: AdmissionLimits = { maxCalls: 20_000, maxWaitMs: 1_000, maxLineMs: 500 };

/** What the admission goes by. */
export interface AdmissionOptions {
  readonly writer: Pick<HeartbeatWriter, "expectedWaitMs">;
  readonly checks: Pick<SignatureChecks, "expectedWaitMs" | "waitingCount">;
  readonly isUrgent: IsUrgent;
  /** How many times less often than usual agents are asked to call at present; 1 or more. */
  readonly slowdown: () => number;
  /** Gives a number from 0 up to 1. */
  readonly random: () => number;
  readonly observer: HeartbeatObserver;
  /** Called before waiting calls take the processor for a while, so that answers that are ready leave first. Default: nothing. */
  readonly beforeSlice?: () => void;
  readonly limits?: AdmissionLimits;
}

/** Takes calls on, or does not. */
export interface Admission {
  /** The same check of who calls, for calls that are taken on; it throws ConnectError with `resource_exhausted` for the others. */
  guard(authenticate: Authenticate): Authenticate;
  /** A call is over, whether or not it was ever under way. */
  noteCall(record: Pick<CallRecord, "values">): void;
  /** Calls under way. */
  readonly callCount: number;
  /** Of the calls whose bodies came since this was asked the last time, the share that was refused; 0 when none came. */
  takeRefusedShare(): number;
}

const underWayKey = createContextKey(false, { description: "whether the call counts among those under way" });
/** Most seconds for which refused callers are asked to stay away; up to as many again are added at random. */
const maxRetryAfterSeconds = 30;
/** Signatures that wait to be verified while calls in line begin: what there is to do while the next ones do. */
const maxWaitingChecks = 64;
/** Connections that are read again in one turn of the event loop. */
const wokenPerTurn = 32;
/** When it is looked again whether there is room for those that rest, in milliseconds. */
const lookAgainMs = 10;

/** Makes the admission of one server. */
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

  /** Past the bounds; at half of them there is room for those that rest. */
  function isBehind(share = 1): boolean {
    return (
      writer.expectedWaitMs > share * limits.maxWaitMs ||
      line.expectedWaitMs + checks.expectedWaitMs > share * limits.maxLineMs
    );
  }

  /** Reads what they have to say, when nobody else stands in line. */
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

  /** The headers of a call are there. */
  function enter(values: ContextValues): void {
    if (callCount >= limits.maxCalls) refuse();
    callCount++;
    values.set(underWayKey, true);
  }

  /** Its body is there, too. */
  function admit(isUrgent: boolean, connection: CallConnection): void {
    if (!isUrgent && isBehind()) {
      refused++;
      resting.rest(connection);
      // Nobody may come after it who would have them looked after.
      line.fill();
      refuse();
    }
    admitted++;
  }

  /** Resolves when it is the call's turn; rejects when its caller has gone by then. */
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
