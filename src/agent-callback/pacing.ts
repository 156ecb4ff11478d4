/**
 * When the server would like each agent's next heartbeat: spread evenly over the interval, less often while it is loaded.
 *
 * Every machine has a moment of its own within the interval, from its id, the same on every server. An agent that calls at any time
 * is sent to its moment, half an interval from now at the least: however many agents come back at once, after an outage for example,
 * they are spread out with their next heartbeat, and no server need know of another.
 */
import { createHash } from "node:crypto";

/** How agents are paced. */
export interface PacingOptions {
  /** Between two heartbeats of an agent when nothing is loaded, in milliseconds. */
  readonly intervalMs: number;
  /** Gives a number from 0 up to 1. */
  readonly random: () => number;
}

/** Paces agents. */
export interface Pacer {
  /** The time between two heartbeats as it is now, in milliseconds. */
  readonly intervalMs: number;
  /** How long from `nowMs`, milliseconds since the epoch, the machine's agent should wait, in milliseconds. */
  next(machineId: string, nowMs: number): number;
  /** Takes in how loaded the server is, once a second: 0 is idle, and from 1 on it wants fewer heartbeats. */
  adapt(load: number): void;
}

/** Agents are slowed down to so many times the interval at most: an operator who waits should still see them live. */
const maxSlowdown = 20;
/** It takes about 3 s to halve the heartbeats, and half a minute to get back from there: a load that comes and goes swings nothing. */
const slowDownBy = 1.25;
const speedUpBy = 0.975;
/** Keeps agents whose ids fall together apart, as a share of the interval. */
const jitterShare = 0.01;

/** Makes a pacer for one server. */
export function createPacer({ intervalMs, random }: PacingOptions): Pacer {
  let slowdown = 1;
  return {
    get intervalMs() {
      return intervalMs * slowdown;
    },
    next(machineId, nowMs) {
      const present = intervalMs * slowdown;
      const distance = (momentOf(machineId) * present - (nowMs % present) + present) % present;
      const pause = distance < present / 2 ? distance + present : distance;
      return pause + present * jitterShare * (random() - 0.5);
    },
    adapt(load) {
      slowdown = Math.min(maxSlowdown, Math.max(1, slowdown * (load >= 1 ? slowDownBy : speedUpBy)));
    },
  };
}

/** The machine's moment within any interval, 0 up to 1: ids need not be random to be spread evenly. */
function momentOf(machineId: string): number {
  return createHash("sha1").update(machineId).digest().readUInt32BE(0) / 2 ** 32;
}
