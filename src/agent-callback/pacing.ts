/**
 * Decides when each agent should send its next heartbeat: spread evenly over the interval, and less often while the
 * server is loaded.
 *
 * Every machine has its own moment within the interval, derived from its id and the same on every server and after
 * every restart. An agent that calls at any time is asked to call next at its moment. So however many return at once,
 * for example after an outage, their next heartbeats are spread, and servers need not coordinate. An agent that is
 * slowed down skips whole intervals and keeps its moment.
 */
import { hash } from "node:crypto";
import { defaultSilenceAllowanceMs } from "../db/queries/heartbeat/heartbeat-row.ts";

/** Options of `createPacer`. */
export interface PacingOptions {
  /** Time between two heartbeats of an agent without slowdown, in milliseconds. */
  readonly intervalMs: number;
  /** Returns a number from 0 up to 1. */
  readonly random: () => number;
}

/** The pace of one agent. */
export interface Pace {
  /** Time until its next heartbeat, in milliseconds. */
  readonly pauseMs: number;
  /** Time between its heartbeats at this pace, in milliseconds. */
  readonly intervalMs: number;
}

/** Paces agents. */
export interface Pacer {
  /** Factor by which agents' intervals are lengthened on average; 1 for none. */
  readonly slowdown: number;
  /**
   * Returns the pace of the machine's agent, which calls at `nowMs`, in milliseconds since the epoch. An installing
   * agent is not slowed down.
   */
  pace(machineId: string, nowMs: number, isInstalling: boolean): Pace;
  /**
   * Adapts the slowdown to the server's load. Call it once per second. Above 1 the server needs fewer heartbeats; below
   * 1 it can handle more.
   */
  adapt(load: number): void;
}

/**
 * Bounds of the slowdown and of the interval under it. A requested installation waits that long for its agent to call.
 */
const maxSlowdown = 10;
const maxSlowIntervalMs = 60 * 60_000;
/**
 * Share of the difference that is corrected within one current interval. Agents show the effect one interval later, and
 * a loop with such a delay overshoots if it corrects more than 1/e of what it observes.
 */
const gain = 0.35;
/** Number of intervals without a heartbeat after which an agent is stale. */
const toleratedIntervals = 3;
/** Random shift that separates agents with the same moment, as a share of the interval. */
const jitterShare = 0.01;

/**
 * Returns how long an agent at this pace may be silent, in milliseconds: three heartbeats may get lost. It is never
 * less than the default, for agents that ignore the pace and call every 30 s.
 */
export function findSilenceAllowanceMs({ intervalMs }: Pace): number {
  return Math.max(defaultSilenceAllowanceMs, toleratedIntervals * intervalMs);
}

/** Creates the pacer of one server. */
export function createPacer({ intervalMs, random }: PacingOptions): Pacer {
  const mostSlowdown = Math.max(1, Math.min(maxSlowdown, maxSlowIntervalMs / intervalMs));
  let slowdown = 1;
  return {
    get slowdown() {
      return slowdown;
    },
    pace(machineId, nowMs, isInstalling) {
      const untilMomentMs = remainder(momentOf(machineId) * intervalMs - nowMs, intervalMs);
      // At least half an interval from now, so that an agent that calls early or late still calls about once in each
      // later interval.
      const pauseMs = untilMomentMs < intervalMs / 2 ? untilMomentMs + intervalMs : untilMomentMs;
      // The number of skipped intervals is random, since the slowdown may be a fraction.
      const leftOut = isInstalling ? 0 : Math.floor(slowdown - 1 + random());
      return {
        pauseMs: Math.round(pauseMs + leftOut * intervalMs + intervalMs * jitterShare * (random() - 0.5)),
        intervalMs: (1 + leftOut) * intervalMs,
      };
    },
    adapt(load) {
      const excess = Math.min(1, Math.max(-1, Math.log(load)));
      const presentSeconds = Math.max(1, (intervalMs * slowdown) / 1000);
      slowdown = Math.min(mostSlowdown, Math.max(1, slowdown * Math.exp((gain * excess) / presentSeconds)));
    },
  };
}

/**
 * Returns the machine's moment as a share of the interval, from 0 up to 1. A hash spreads ids evenly that are not
 * random.
 */
function momentOf(machineId: string): number {
  return Number.parseInt(hash("sha1", machineId).slice(0, 8), 16) / 2 ** 32;
}

/** Returns the remainder of a division, which is never negative. */
function remainder(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
