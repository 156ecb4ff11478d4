/** Controls the process of a load from the benchmark's process. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CallersOptions } from "./callers.ts";
import type { LoadPlan, LoadResult } from "./drive.ts";

/** Order to the process of a load, one at a time. `prepare` is the number of heartbeats to sign. */
export type LoadOrder =
  | { readonly callers: CallersOptions }
  | { readonly prepare: number }
  | { readonly drive: LoadPlan };

/** Reply of the process when an order is done. */
export interface LoadReply {
  readonly result?: MeasuredLoad;
  readonly error?: string;
}

/** Result of a load, with the CPU time of making it. */
export interface MeasuredLoad extends LoadResult {
  readonly cpuSeconds: number;
}

/** A load on one server. */
export interface LoadProcess extends Disposable {
  /** Prepares a plan before the clock starts. */
  prepare(plan: LoadPlan): Promise<void>;
  /** Carries out a prepared plan. Throws if not a single call succeeded. */
  drive(plan: LoadPlan): Promise<MeasuredLoad>;
}

const program = fileURLToPath(new URL("load-main.ts", import.meta.url));
/** Signatures per second of a plan whose rate is unknown. Signing a heartbeat takes a little more than 0.1 ms. */
const firstGuess = 6_000;
const reserve = 1.5;

/** Starts the process of a load. Agents with certificates connect at once. */
export async function startLoad(options: CallersOptions): Promise<LoadProcess> {
  const child = fork(program, { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] });
  const ended = once(child, "exit").then(([status]): never => {
    throw new Error(`a load's process ended with status ${status}`);
  });
  ended.catch(() => {});
  const order = async (what: LoadOrder): Promise<LoadReply> => {
    child.send(what);
    const [reply] = (await Promise.race([once(child, "message"), ended])) as [LoadReply];
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  };
  await order({ callers: options });
  if (options.kind === "certificates") await order({ prepare: 0 });
  let likelyRate = firstGuess;
  return {
    async prepare(plan) {
      const perSecond = "perSecond" in plan ? plan.perSecond : likelyRate * reserve;
      await order({ prepare: Math.ceil(perSecond * plan.seconds) });
    },
    async drive(plan) {
      const { result } = await order({ drive: plan });
      if (result === undefined) throw new Error("the load's process says nothing");
      if (result.calls === 0) throw new Error(`${result.failures} calls failed, and none did not`);
      if ("inFlight" in plan) likelyRate = result.calls / result.seconds;
      return result;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}
