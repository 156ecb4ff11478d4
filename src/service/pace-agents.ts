/** Paces agents by how loaded this process is, which is looked at once a second. */
import { performance } from "node:perf_hooks";
import { defaultWriterLimits, type HeartbeatWriter } from "../agent-callback/heartbeat-writer.ts";
import { createPacer, type Pacer } from "../agent-callback/pacing.ts";

const sampleEveryMs = 1000;
/** Share of its time that the process may be at work, and of the writer's queue that may be taken, before it wants fewer heartbeats. */
const fullUtilization = 0.9;
const fullQueueShare = 0.1;

/** Makes the pacer of the agents whose heartbeats `writer` writes; `close` ends the looking. */
export function paceAgents(
  intervalMs: number,
  writer: Pick<HeartbeatWriter, "queueLength">,
): { readonly pacer: Pacer; close(): void } {
  const pacer = createPacer({ intervalMs, random: Math.random });
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const present = performance.eventLoopUtilization();
    pacer.adapt(findLoad(performance.eventLoopUtilization(present, last).utilization, writer.queueLength));
    last = present;
  }, sampleEveryMs).unref();
  return { pacer, close: () => clearInterval(timer) };
}

/**
 * From 1 on the process is at work nearly all the time, or heartbeats wait for the database.
 *
 * @public
 */
export function findLoad(utilization: number, queueLength: number): number {
  const queueShare = queueLength / defaultWriterLimits.maxQueued;
  return Math.max(utilization / fullUtilization, queueShare / fullQueueShare);
}
