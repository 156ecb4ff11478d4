/** Metrics of the fleet, from the sampler's last count. */
import { issueTypeNames, issueTypes } from "../contract/issue-types.ts";
import { findLabel, nameMetricLabel } from "../contract/labels.ts";
import type { FleetCount } from "../db/queries/fleet.ts";
import type { FleetGroup } from "../db/queries/fleet-groups.ts";
import { Counter, Gauge, type Registry } from "./prom-client.ts";
import { createStateMetrics, waitForCount } from "./state-metrics.ts";

/** Source of counts of the fleet. */
export interface FleetSource {
  /** Settles once `last` is as recent as it can be. */
  get(): Promise<unknown>;
  readonly last: (FleetCount & { readonly beganAtMs: number; readonly durationMs: number }) | undefined;
  readonly failures: number;
}

/**
 * Maximum number of places with their own series. A place is a provider's location, or a set of labels. The machines of
 * all other places are shown together.
 */
const maxPlaces = 200;
const elsewhere = "(other)";

/** Creates the gauges, with the machines' labels of the given keys. Returns a function that updates them. */
export function createFleetMetrics(
  registry: Registry,
  source: FleetSource,
  labelKeys: readonly string[],
): () => Promise<void> {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const labelNames = ["state", "provider", "location"] as const;
  const groupGauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers });
  const figures = {
    machines: groupGauge("bmaas_fleet_machines", "Machines, by state and place."),
    memoryBytes: groupGauge("bmaas_fleet_memory_bytes", "Memory of the machines together."),
    cpuThreads: groupGauge("bmaas_fleet_cpu_threads", "Hardware threads of the machines' processors together."),
    diskBytes: groupGauge("bmaas_fleet_disk_bytes", "Capacity of the machines' disks together."),
    heldMachines: groupGauge(
      "bmaas_fleet_held_machines",
      "Machines that operators hold; nothing is installed on them.",
    ),
    stateOverdueMachines: groupGauge(
      "bmaas_fleet_state_overdue_machines",
      "Machines that have been in their state for longer than BMAAS_STATE_LIMITS allows.",
    ),
    mutedMachines: groupGauge(
      "bmaas_fleet_muted_machines",
      "Machines whose holds or health alerts leave them out of alerts.",
    ),
  } as const;
  const showStates = createStateMetrics(registry);
  const labelled = new Gauge({
    name: "bmaas_fleet_labelled_machines",
    help: "Machines, by state and the labels that BMAAS_METRIC_LABELS names.",
    labelNames: ["state", ...labelKeys.map(nameMetricLabel)],
    registers: labelKeys.length === 0 ? [] : registers,
  });
  const duplicates = gauge(
    "bmaas_fleet_duplicate_agents",
    "Machines whose id and key two machines call with; nothing is installed on them.",
  );
  const issues = new Gauge({
    name: "bmaas_fleet_issues",
    help: "Issues, by type and severity.",
    labelNames: ["type", "severity"],
    registers,
  });
  showIssueTypes(registry);
  const issueAge = gauge("bmaas_fleet_issues_age_seconds", "Time since the server last began to look for issues.");
  const enrolments = gauge("bmaas_fleet_waiting_enrolments", "Agents without a machine that wait to be let in.");
  const age = gauge("bmaas_fleet_sample_age_seconds", "Age of the fleet's figures, more than 15 s only in trouble.");
  const duration = gauge("bmaas_fleet_sample_duration_seconds", "Time that it took to count the fleet.");

  return async () => {
    await waitForCount(source);
    const { last } = source;
    if (last === undefined) {
      // Without a count the gauges are absent, since 0 would be wrong.
      duplicates.remove();
      enrolments.remove();
      age.remove();
      issueAge.remove();
      duration.remove();
      showStates([]);
      return;
    }
    duplicates.set(Number(last.duplicateAgents));
    for (const { type, severity, issues: count } of last.issues) issues.set({ type, severity }, Number(count));
    const sampleAge = (performance.now() - last.beganAtMs) / 1000;
    if (last.issuesComparedAt !== null) {
      issueAge.set((last.countedAt.getTime() - last.issuesComparedAt.getTime()) / 1000 + sampleAge);
    }
    enrolments.set(Number(last.waitingEnrolments));
    age.set(sampleAge);
    duration.set(last.durationMs / 1000);
    for (const figure of Object.values(figures)) figure.reset();
    for (const { state, provider, location, ...group } of foldPlaces(last.groups)) {
      const labels = { state, provider: provider ?? "", location: location ?? "" };
      for (const [name, figure] of Object.entries(figures))
        figure.inc(labels, Number(group[name as keyof typeof figures]));
    }
    showStates(last.groups, last.countedAt);
    labelled.reset();
    for (const { state, labels, machines } of foldLabels(last.groups)) {
      const named = labelKeys.map((key) => [nameMetricLabel(key), findLabel(labels, key) ?? ""]);
      labelled.inc({ state, ...Object.fromEntries(named) }, Number(machines));
    }
  };
}

/** Creates the gauge with the words of each type of issue, so that alerts can say what `bmaas issues` says. */
function showIssueTypes(registry: Registry): void {
  const types = new Gauge({
    name: "bmaas_issue_type_info",
    help: "Always 1; the summary of a type of issue is a label.",
    labelNames: ["type", "summary"],
    registers: [registry],
  });
  for (const type of issueTypeNames) types.set({ type, summary: issueTypes[type].summary }, 1);
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
  const isShown = findLargest(groups, ({ provider, location }) => JSON.stringify([provider, location]));
  return groups.map((group) => (isShown(group) ? group : { ...group, provider: elsewhere, location: elsewhere }));
}

/** Combines the sets of labels with the fewest machines, for the same reason. */
function foldLabels(groups: readonly FleetGroup[]): FleetGroup[] {
  const isShown = findLargest(groups, ({ labels }) => JSON.stringify(labels));
  const others = (labels: FleetGroup["labels"]) =>
    Object.fromEntries(Object.keys(labels).map((key) => [key, elsewhere]));
  return groups.map((group) => (isShown(group) ? group : { ...group, labels: others(group.labels) }));
}

/** Returns whether a group is among the `maxPlaces` names with the most machines. */
function findLargest(groups: readonly FleetGroup[], nameOf: (group: FleetGroup) => string) {
  const machines = new Map<string, bigint>();
  for (const group of groups) machines.set(nameOf(group), (machines.get(nameOf(group)) ?? 0n) + group.machines);
  const byNumber = [...machines].sort(([, a], [, b]) => Number(b - a));
  const shown = new Set(byNumber.slice(0, maxPlaces).map(([name]) => name));
  return (group: FleetGroup) => shown.has(nameOf(group));
}
