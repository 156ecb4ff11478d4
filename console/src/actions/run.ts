/** Acts on machines part by part, and says how far it is. A failure of one machine does not stop the others. */
import type { Any } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { useEffect, useRef, useState } from "react";
import { type Caller, session, waitForCaller } from "../session/session.ts";
import { useCaller } from "../session/use-session.ts";
import type { Target } from "./targets.ts";

/** Most machines of a call for many. */
export const batchSize = 1_000;

/** A machine for which the action failed. */
export interface Failure {
  readonly machineId: string;
  readonly error: unknown;
}

/** How far a run is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failures: readonly Failure[];
  readonly isFinished: boolean;
}

/** Acts on some machines in one call, and returns those that failed. It throws if the call as a whole fails. */
export type ActOnPart = (part: readonly Target[]) => Promise<readonly Failure[]>;

/** Returns an action for one machine as one for parts; such a part has one machine. */
export function actOnOne(act: (target: Target) => Promise<unknown>): ActOnPart {
  return async ([target]) => {
    if (target !== undefined) await act(target);
    return [];
  };
}

/** Returns the failed requests of a batch as failures, each with the error that a call for one machine would have. */
export function toFailures(
  part: readonly Target[],
  failedRequests: Readonly<Record<number, FailedRequest>>,
): Failure[] {
  return Object.entries(failedRequests).map(([index, { message, code, details }]) => {
    const error = new ConnectError(message, code);
    error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
    return { machineId: part[Number(index)]?.machineId ?? "", error };
  });
}

/**
 * Returns the machines that had an installation when they were selected, and the others as failures: without a
 * generation, a call would be about whatever somebody else has requested since.
 */
export function splitByInstallation(part: readonly Target[]): { having: Target[]; failures: Failure[] } {
  const error = new ConnectError(
    "no installation was on record when the machine was selected",
    Code.FailedPrecondition,
  );
  return {
    having: part.filter(({ generation }) => generation > 0n),
    failures: part.flatMap(({ machineId, generation }) => (generation > 0n ? [] : [{ machineId, error }])),
  };
}

/** What `toFailures` reads of a google.rpc.Status. */
interface FailedRequest {
  readonly message: string;
  readonly code: number;
  readonly details: readonly Pick<Any, "typeUrl" | "value">[];
}

/** A run, which ends after the calls that are under way when its component goes away. */
export interface Run {
  /** Undefined before the first run. */
  readonly progress: Progress | undefined;
  readonly isBusy: boolean;
  /**
   * Acts on all machines in parts of `size`, and returns the failures; undefined if the component has gone away
   * meanwhile: another dialog may be open by then.
   */
  readonly start: (targets: readonly Target[], size: number, act: ActOnPart) => Promise<readonly Failure[] | undefined>;
}

/** Most calls at once. Browsers open six connections over HTTP/1.1, and one of them is the stream of changes. */
const maxCalls = 4;

/** Shortest time between two reports of how far a run is, in milliseconds. */
const tellMs = 100;

/** Returns a run for a dialog. */
export function useRun(): Run {
  const [progress, setProgress] = useState<Progress>();
  const caller = useCaller();
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    return () => {
      isGone.current = true;
    };
  }, []);
  const start: Run["start"] = async (targets, size, act) => {
    const failures: Failure[] = [];
    let done = 0;
    let toldAtMs = 0;
    const tell = (isFinished = false) => {
      if (!isFinished && Date.now() - toldAtMs < tellMs) return;
      toldAtMs = Date.now();
      setProgress({ done, total: targets.length, failures: [...failures], isFinished });
    };
    let at = 0;
    const work = async () => {
      while (at < targets.length && !isGone.current) {
        const part = targets.slice(at, at + size);
        at += size;
        try {
          failures.push(...(await actAs(caller, part, act)));
        } catch (error) {
          failures.push(...part.map(({ machineId }) => ({ machineId, error })));
        }
        done += part.length;
        tell();
      }
    };
    tell();
    // A call for many is work enough for the server.
    await Promise.all(Array.from({ length: size === 1 ? maxCalls : 1 }, work));
    tell(true);
    return isGone.current ? undefined : failures;
  };
  return { progress, isBusy: progress !== undefined && !progress.isFinished, start };
}

/**
 * Acts on some machines in the name of whoever has begun the run. If the session ends meanwhile, it waits until the
 * same caller has signed in again, and repeats the call, which the server refused.
 */
async function actAs(caller: Caller, part: readonly Target[], act: ActOnPart): Promise<readonly Failure[]> {
  for (;;) {
    if (!(await waitForCaller(caller))) {
      throw new ConnectError(`this was begun by ${caller.actor}, who is not signed in any more`, Code.Aborted);
    }
    const { token } = session;
    try {
      return await act(part);
    } catch (error) {
      // The session has ended, or has another token by now.
      if (ConnectError.from(error).code !== Code.Unauthenticated || session.token === token) throw error;
    }
  }
}
