/** Adds up the groups of the fleet by place. */
import type { FleetGroup } from "@api/fleet_service_pb.js";
import type { MachineState } from "@api/machine_pb.js";

/** The machines of a place. */
export interface Place {
  /** What people call it, such as "equinix am6". */
  readonly name: string;
  /** Conditions of the machines' page for its machines. */
  readonly conditions: readonly string[];
  readonly total: number;
  readonly machines: ReadonlyMap<MachineState, number>;
}

/** Returns the places, those with most machines first. With `labelKey`, a place is a value of that label. */
export function toPlaces(groups: readonly FleetGroup[], labelKey: string | undefined): Place[] {
  const places = new Map<string, Place & { machines: Map<MachineState, number>; total: number }>();
  for (const group of groups) {
    const { provider, location } = group;
    const own = labelKey === undefined ? describeOf(provider, location) : describeLabel(group.labels, labelKey);
    const place = places.get(own.name) ?? { ...own, total: 0, machines: new Map() };
    const machines = Number(group.machines);
    place.machines.set(group.state, (place.machines.get(group.state) ?? 0) + machines);
    places.set(own.name, { ...place, total: place.total + machines });
  }
  return [...places.values()].sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1));
}

function describeOf(provider: string, location: string) {
  if (provider === "") return { name: "not provided", conditions: [] };
  const conditions = [`provider=${provider}`, ...(location === "" ? [] : [`location=${location}`])];
  return { name: [provider, location].filter(Boolean).join(" "), conditions };
}

function describeLabel(labels: Readonly<Record<string, string>>, key: string) {
  if (!Object.hasOwn(labels, key)) return { name: `without ${key}`, conditions: [`!label.${key}`] };
  return { name: `${key}=${labels[key]}`, conditions: [`label.${key}=${labels[key]}`] };
}

/** Returns the number of machines in some states, or in all of them, over all groups. */
export function countIn(
  groups: readonly Pick<FleetGroup, "state" | "machines">[],
  states?: readonly MachineState[],
): number {
  const counted = states === undefined ? groups : groups.filter(({ state }) => states.includes(state));
  return counted.reduce((sum, { machines }) => sum + Number(machines), 0);
}
