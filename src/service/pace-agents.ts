/** Paces agents by the load of this process, which it measures once a second. */
import { performance } from "node:perf_hooks";
import type { Admission } from "../agent-callback/admission/admission.ts";
import { defaultWriterLimits, type HeartbeatWriter } from "../agent-callback/heartbeat-writer.ts";
import { createPacer, type Pacer } from "../agent-callback/pacing.ts";

const sampleEveryMs = 1000;
/** Shares of the event loop's time and of the writer's queue from which the process wants fewer heartbeats. */
const fullUtilization = 0.9;
const fullQueueShare = 0.1;
const mostRefusedShare = 0.99;

/** Creates the pacer of the agents whose heartbeats `writer` writes. `close` ends the measuring. */
export function paceAgents(
  intervalMs: number,
  writer: Pick<HeartbeatWriter, "queueLength">,
  admission: Pick<Admission, "takeRefusedShare">,
): { readonly pacer: Pacer; close(): void } {
  const pacer = createPacer({ intervalMs, random: Math.random });
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const present = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(present, last);
    const { queueLength } = writer;
    pacer.adapt(findLoad({ utilization, queueLength, refusedShare: admission.takeRefusedShare() }));
    last = present;
  }, sampleEveryMs).unref();
  return { pacer, close: () => clearInterval(timer) };
}

/**
 * Returns the load of the process. From 1 on, the process is busy nearly all the time, heartbeats wait for the
 * database, or heartbeats are refused. `utilization` and `refusedShare` are from 0 to 1.
 *
 * @public
 */
export function findLoad(seen: {
  readonly utilization: number;
  readonly queueLength: number;
  readonly refusedShare: number;
}): number {
  const queueShare = seen.queueLength / defaultWriterLimits.maxQueued;
  // At n times the capacity, all but 1/n of the heartbeats are refused.
  const offered = seen.refusedShare === 0 ? 0 : 1 / (1 - Math.min(seen.refusedShare, mostRefusedShare));
  return Math.max(seen.utilization / fullUtilization, queueShare / fullQueueShare, offered);
}
