/** The load of one server as seen from the benchmark's process. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadPlan, LoadResult } from "./drive.ts";
import type { CallersOptions } from "./open-callers.ts";

/** What the process of a load is told, one at a time. */
export type LoadOrder = { readonly open: CallersOptions } | { readonly drive: LoadPlan };

/** What it says when that is done. */
export interface LoadReply {
  readonly result?: MeasuredLoad;
  readonly error?: string;
}

/** What came of a load, and what making it cost. */
export interface MeasuredLoad extends LoadResult {
  readonly cpuSeconds: number;
}

/** A load whose callers have all been answered once. */
export interface LoadProcess extends Disposable {
  /** Throws when a call was not answered as it should be. */
  drive(plan: LoadPlan): Promise<MeasuredLoad>;
}

const program = fileURLToPath(new URL("load-main.ts", import.meta.url));

/** Starts a load; see the functions of open-callers.ts. */
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
  await order({ open: options });
  return {
    async drive(plan) {
      const { result } = await order({ drive: plan });
      if (result === undefined || result.failures > 0 || result.calls === 0) {
        throw new Error(`${result?.failures} calls failed and ${result?.calls} did not`);
      }
      return result;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}
