/** Acts on machines part by part, and says how far it is. A failure of one machine does not stop the others. */
import { ConnectError } from "@connectrpc/connect";
import { useEffect, useRef, useState } from "react";
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

/** Returns the failed requests of a batch as failures. */
export function toFailures(
  part: readonly Target[],
  failedRequests: Readonly<Record<number, { readonly message: string; readonly code: number }>>,
): Failure[] {
  return Object.entries(failedRequests).map(([index, { message, code }]) => ({
    machineId: part[Number(index)]?.machineId ?? "",
    error: new ConnectError(message, code),
  }));
}

/** A run, which ends after the call that is under way when its component goes away. */
export interface Run {
  /** Undefined before the first run. */
  readonly progress: Progress | undefined;
  readonly isBusy: boolean;
  /** Acts on all machines in parts of `size`, and returns the failures. */
  readonly start: (targets: readonly Target[], size: number, act: ActOnPart) => Promise<readonly Failure[]>;
}

/** Returns a run for a dialog. */
export function useRun(): Run {
  const [progress, setProgress] = useState<Progress>();
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    return () => {
      isGone.current = true;
    };
  }, []);
  const start: Run["start"] = async (targets, size, act) => {
    const failures: Failure[] = [];
    const tell = (done: number, isFinished = false) =>
      setProgress({ done, total: targets.length, failures: [...failures], isFinished });
    tell(0);
    for (let at = 0; at < targets.length && !isGone.current; at += size) {
      const part = targets.slice(at, at + size);
      try {
        failures.push(...(await act(part)));
      } catch (error) {
        failures.push(...part.map(({ machineId }) => ({ machineId, error })));
      }
      tell(Math.min(at + size, targets.length));
    }
    tell(targets.length, true);
    return failures;
  };
  return { progress, isBusy: progress !== undefined && !progress.isFinished, start };
}
