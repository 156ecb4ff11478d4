/** Metrics of the fleet, from the sampler's last count. */
import { setTimeout as delay } from "node:timers/promises";
import { nameMetricLabel } from "../contract/labels.ts";
import type { FleetCount, FleetGroup } from "../db/queries/fleet.ts";
import { Counter, Gauge, type Registry } from "./prom-client.ts";

/** Source of counts of the fleet. */
export interface FleetSource {
  /** Settles once `last` is as recent as it can be. */
  get(): Promise<unknown>;
  readonly last: (FleetCount & { readonly beganAtMs: number; readonly durationMs: number }) | undefined;
  readonly failures: number;
}

/**
 * Longest time that a scrape waits for a new count, in milliseconds. After it, the page shows the old count, as it does
 * while the database is away.
 */
const maxWaitMs = 3_000;

/**
 * Maximum number of places with their own series. A place is a provider's location with the shown labels. The machines
 * of all other places are shown together.
 */
const maxPlaces = 200;
const elsewhere = "(other)";

/** Creates the gauges, with the machines' labels of the given keys. Returns a function that updates them. */
export function createFleetMetrics(
  registry: Registry,
  source: FleetSource,
  labelKeys: readonly string[],
): () => Promise<void> {
  const labelNames = ["state", "provider", "location", ...labelKeys.map(nameMetricLabel)];
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const groupGauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers });
  const figures = {
    machines: groupGauge("bmaas_fleet_machines", "Machines, by state and place."),
    memoryBytes: groupGauge("bmaas_fleet_memory_bytes", "Memory of the machines together."),
    cpuThreads: groupGauge("bmaas_fleet_cpu_threads", "Hardware threads of the machines' processors together."),
    diskBytes: groupGauge("bmaas_fleet_disk_bytes", "Capacity of the machines' disks together."),
  } as const;
  const duplicates = gauge(
    "bmaas_fleet_duplicate_agents",
    "Machines whose id and key two machines call with; nothing is installed on them.",
  );
  const age = gauge("bmaas_fleet_sample_age_seconds", "Age of the fleet's figures, more than 15 s only in trouble.");
  const duration = gauge("bmaas_fleet_sample_duration_seconds", "Time that it took to count the fleet.");

  return async () => {
    await Promise.race([source.get().catch(() => {}), delay(maxWaitMs, undefined, { ref: false })]);
    const { last } = source;
    if (last === undefined) {
      // Without a count the gauges are absent, since 0 would be wrong.
      duplicates.remove();
      age.remove();
      duration.remove();
      return;
    }
    duplicates.set(Number(last.duplicateAgents));
    age.set((performance.now() - last.beganAtMs) / 1000);
    duration.set(last.durationMs / 1000);
    for (const figure of Object.values(figures)) figure.reset();
    for (const { state, provider, location, labels: own, ...group } of foldPlaces(last.groups)) {
      const named = labelKeys.map((key) => [nameMetricLabel(key), own[key] ?? ""]);
      const labels = { state, provider: provider ?? "", location: location ?? "", ...Object.fromEntries(named) };
      figures.machines.inc(labels, Number(group.machines));
      figures.memoryBytes.inc(labels, Number(group.memoryBytes));
      figures.cpuThreads.inc(labels, Number(group.cpuThreads));
      figures.diskBytes.inc(labels, Number(group.diskBytes));
    }
  };
}

/**
 * Creates the counter of failed counts. It is separate from the gauges because each process of a server has failures of
 * its own.
 */
export function countFailures(registry: Registry, source: Pick<FleetSource, "failures">): void {
  new Counter({
    name: "bmaas_fleet_sample_failures_total",
    help: "Failed attempts to count the fleet.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(source.failures);
    },
  });
}

/**
 * Combines the places with the fewest machines under one name, so that a fleet with many places does not flood
 * Prometheus.
 */
function foldPlaces(groups: readonly FleetGroup[]): FleetGroup[] {
  const machines = new Map<string, bigint>();
  const nameOf = ({ provider, location, labels }: FleetGroup) => JSON.stringify([provider, location, labels]);
  for (const group of groups) machines.set(nameOf(group), (machines.get(nameOf(group)) ?? 0n) + group.machines);
  const byNumber = [...machines].sort(([, a], [, b]) => Number(b - a));
  const shown = new Set(byNumber.slice(0, maxPlaces).map(([name]) => name));
  return groups.map((group) =>
    shown.has(nameOf(group)) ? group : { ...group, provider: elsewhere, location: elsewhere, labels: {} },
  );
}
