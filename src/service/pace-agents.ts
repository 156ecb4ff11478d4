/** Paces agents by how loaded this process is, which is looked at once a second. */
import { performance } from "node:perf_hooks";
import type { Admission } from "../agent-callback/admission/admission.ts";
import { defaultWriterLimits, type HeartbeatWriter } from "../agent-callback/heartbeat-writer.ts";
import { createPacer, type Pacer } from "../agent-callback/pacing.ts";

const sampleEveryMs = 1000;
/** Share of its time that the process may be at work, and of the writer's queue that may be taken, before it wants fewer heartbeats. */
const fullUtilization = 0.9;
const fullQueueShare = 0.1;
const mostRefusedShare = 0.99;

/** Makes the pacer of the agents whose heartbeats `writer` writes; `close` ends the looking. */
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
 * From 1 on the process is at work nearly all the time, or heartbeats wait for the database, or are refused. All are shares of 1 but the
 * queue's length.
 *
 * @public
 */
export function findLoad(seen: {
  readonly utilization: number;
  readonly queueLength: number;
  readonly refusedShare: number;
}): number {
  const queueShare = seen.queueLength / defaultWriterLimits.maxQueued;
  // Of n times what can be served, all but one nth are refused.
  const offered = seen.refusedShare === 0 ? 0 : 1 / (1 - Math.min(seen.refusedShare, mostRefusedShare));
  return Math.max(seen.utilization / fullUtilization, queueShare / fullQueueShare, offered);
}
