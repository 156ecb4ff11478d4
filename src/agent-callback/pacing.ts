/**
 * When the server would like each agent's next heartbeat: spread evenly over the interval, and less often while the server is loaded.
 *
 * Every machine has a moment of its own within each interval, from its id, the same on every server and after every restart. An agent
 * that calls at any time is sent to its moment: however many come back at once, after an outage for example, their next heartbeats are
 * spread, and no server need know of another. An agent that is slowed down leaves intervals out and keeps its moment.
 */
import { hash } from "node:crypto";
import { defaultSilenceAllowanceMs } from "../db/queries/heartbeat/heartbeat-row.ts";

/** How agents are paced. */
export interface PacingOptions {
  /** Between two heartbeats of an agent when nothing is loaded, in milliseconds. */
  readonly intervalMs: number;
  /** Gives a number from 0 up to 1. */
  readonly random: () => number;
}

/** What one agent is told. */
export interface Pace {
  /** How long from now its next heartbeat is wanted, in milliseconds. */
  readonly pauseMs: number;
  /** The time between its heartbeats at this pace, in milliseconds. */
  readonly intervalMs: number;
}

/** Paces agents. */
export interface Pacer {
  /** How many times the interval agents are slowed down to, on average; 1 when they are not. */
  readonly slowdown: number;
  /** Paces the machine's agent, which calls at `nowMs`, milliseconds since the epoch. Nobody slows down an agent that installs. */
  pace(machineId: string, nowMs: number, isInstalling: boolean): Pace;
  /** Takes in how loaded the server is, once a second: from 1 on it wants fewer heartbeats, below it can take more. */
  adapt(load: number): void;
}

/** What agents are slowed down to at most: an installation that is asked for waits so long for its agent to call. */
const maxSlowdown = 10;
const maxSlowIntervalMs = 60 * 60_000;
/**
 * Share of the difference that is made up within one interval as it is now. What agents are told shows an interval later: a loop with such a
 * delay overshoots when it makes up more than 1/e of what it sees.
 */
const gain = 0.35;
/** After how many intervals without a heartbeat an agent is stale. */
const toleratedIntervals = 3;
/** Keeps agents whose moments fall together apart, as a share of the interval. */
const jitterShare = 0.01;

/**
 * For how long an agent of this pace may be silent, in milliseconds: three heartbeats may get lost. It is not less for agents that do not look
 * at what they are told, and call every 30 s.
 */
export function findSilenceAllowanceMs({ intervalMs }: Pace): number {
  return Math.max(defaultSilenceAllowanceMs, toleratedIntervals * intervalMs);
}

/** Makes a pacer for one server. */
export function createPacer({ intervalMs, random }: PacingOptions): Pacer {
  const mostSlowdown = Math.max(1, Math.min(maxSlowdown, maxSlowIntervalMs / intervalMs));
  let slowdown = 1;
  return {
    get slowdown() {
      return slowdown;
    },
    pace(machineId, nowMs, isInstalling) {
      const untilMomentMs = remainder(momentOf(machineId) * intervalMs - nowMs, intervalMs);
      // Half an interval from now at the least, so that who calls late, or early, calls about once in each interval from then on.
      const pauseMs = untilMomentMs < intervalMs / 2 ? untilMomentMs + intervalMs : untilMomentMs;
      // How many intervals are left out is drawn, for a slowdown that is no whole number.
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

/** The machine's moment within any interval, 0 up to 1: ids need not be random to be spread evenly. */
function momentOf(machineId: string): number {
  return Number.parseInt(hash("sha1", machineId).slice(0, 8), 16) / 2 ** 32;
}

/** Of a division, 0 or more also for what is negative. */
function remainder(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
