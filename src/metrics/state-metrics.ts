/** Metrics of the time that machines have spent in their states, and of their changes of state. */
import { setTimeout as delay } from "node:timers/promises";
import { machineStateNames } from "../contract/machine-states.ts";
import { type FleetGroup, stateAges } from "../db/queries/fleet-groups.ts";
import type { StateTransition } from "../db/queries/state-transition.ts";
import { Counter, Gauge, type Registry, registerHistogram } from "./prom-client.ts";

/**
 * Longest time that a scrape waits for a new count, in milliseconds. After it, the page shows the old count, as it does
 * while the database is away.
 */
const maxWaitMs = 3_000;

/** Waits until the source's last count is as recent as it can be, but not for long. */
export async function waitForCount(source: { get(): Promise<unknown> }): Promise<void> {
  await Promise.race([source.get().catch(() => {}), delay(maxWaitMs, undefined, { ref: false })]);
}

/**
 * Creates the metrics of times in states. Returns a function that updates them from a count of the fleet, or removes
 * them without one.
 */
export function createStateMetrics(registry: Registry): (groups: readonly FleetGroup[], countedAt?: Date) => void {
  const oldest = new Gauge({
    name: "bmaas_fleet_state_oldest_seconds",
    help: "Longest time that a machine has been in the state so far.",
    labelNames: ["state"],
    registers: [registry],
  });
  const setAges = registerHistogram(registry, {
    name: "bmaas_fleet_state_seconds",
    help: "Machines by the time that they have spent in their state so far. It describes the fleet now, so it shrinks too.",
    label: "state",
    buckets: stateAges,
  });
  return (groups, countedAt = new Date(0)) => {
    oldest.reset();
    const byState = [...Map.groupBy(groups, ({ state }) => state)];
    for (const [state, members] of byState) {
      const since = Math.min(...members.map(({ oldestStateTime }) => oldestStateTime.getTime()));
      oldest.set({ state }, Math.max(0, (countedAt.getTime() - since) / 1000));
    }
    setAges(
      byState.map(([state, members]) => ({
        label: state,
        count: members.reduce((sum, { machines }) => sum + Number(machines), 0),
        sum: members.reduce((sum, { stateSeconds }) => sum + stateSeconds, 0),
        buckets: stateAges.map((_, index) =>
          members.reduce((sum, { youngerMachines }) => sum + Number(youngerMachines[index]), 0),
        ),
      })),
    );
  };
}

/** Source of the numbers of transitions. */
export interface TransitionSource {
  /** Settles once `last` is as recent as it can be. */
  get(): Promise<unknown>;
  readonly last: { readonly transitions: readonly StateTransition[] } | undefined;
}

/**
 * Creates the counter of changes of state. Returns a function that updates it. The numbers are those in the database,
 * so they do not begin anew with the server.
 */
export function createTransitionMetrics(registry: Registry, source: TransitionSource): () => Promise<void> {
  const counter = new Counter({
    name: "bmaas_fleet_state_transitions_total",
    help: "Changes of machines from one state to another, as seen every 15 s.",
    labelNames: ["from", "to"],
    registers: [registry],
  });
  return async () => {
    await waitForCount(source);
    const { last } = source;
    if (last === undefined) return;
    counter.reset();
    // Each pair begins at zero, so that the first change already shows as an increase.
    for (const from of machineStateNames) {
      for (const to of machineStateNames) if (from !== to) counter.inc({ from, to }, 0);
    }
    for (const { fromState: from, toState: to, transitions } of last.transitions) {
      counter.inc({ from, to }, Number(transitions));
    }
  };
}
