/**
 * Runs an agent: it sends heartbeats, reports its hardware, installs what is requested, and repeats reports until they
 * are accepted.
 */
import { setTimeout as sleepFor } from "node:timers/promises";
import { readVersion } from "../base/version.ts";
import { Agent, type Pause } from "./agent.ts";
import type { AgentOptions } from "./agent-options.ts";
import { findBootId } from "./boot-id.ts";

/**
 * Runs an agent. Resolves when its signal has aborted and a running installation has been stopped, also one that was
 * given up: nothing else may use the state file, and install, before. It does not wait for an `afterInstall` that
 * hangs. No error ends it: it retries for ever.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { signal, version = readVersion(), bootId = await findBootId() } = options;
  const agent = new Agent({ ...options, version, bootId });
  await agent.resume();
  while (!signal.aborted) await rest(agent, await agent.heartbeat(), options);
  await agent.installing;
  await agent.hanging;
  await agent.stop();
}

/**
 * Waits until the next heartbeat. News of an installation shortens the wait, unless the agent is backing off: an
 * outcome ends it at once, and progress after `progressIntervalMs`.
 */
async function rest(agent: Agent, { durationMs, isBackoff }: Pause, options: AgentOptions): Promise<void> {
  const { signal, progressIntervalMs = 2000 } = options;
  let remainingMs = durationMs;
  while (remainingMs > 0 && !signal.aborted) {
    if (isBackoff) return await sleep(remainingMs, options);
    if (agent.hasNewOutcome) return;
    const { installing } = agent;
    const sliceMs = installing === undefined ? remainingMs : Math.min(remainingMs, progressIntervalMs);
    await sleep(sliceMs, options, installing);
    if (agent.hasNewProgress) return;
    remainingMs -= sliceMs;
  }
}

/** Waits until the time is over, the agent ends, or `event` resolves. */
async function sleep(durationMs: number, options: AgentOptions, event?: Promise<void>): Promise<void> {
  const { signal, sleep: wait = (ms: number, until: AbortSignal) => sleepFor(ms, undefined, { signal: until }) } =
    options;
  const happened = new AbortController();
  void event?.then(() => happened.abort());
  const until = AbortSignal.any([signal, happened.signal]);
  try {
    await wait(durationMs, until);
  } catch (error) {
    if (!until.aborted) throw error;
  }
}
