/** Tells whether a machine that has just come or changed belongs to a list. */
import type { Machine } from "@api/machine_pb.js";
import { type MachineFilter, MachineFilterSchema } from "@api/machine_service_pb.js";
import { clone } from "@bufbuild/protobuf";
import { matchesFilter } from "../../../../src/contract/matches-filter.ts";

/** Conditions that depend on the server's clock and settings. */
const ofTime = ["minHeartbeatAge", "maxHeartbeatAge", "minStateAge", "maxStateAge", "stateOverdue"] as const;

/** Returns whether the machine matches; undefined if only the server knows. */
export function matches(machine: Machine, filter: MachineFilter): boolean | undefined {
  if (ofTime.every((name) => filter[name] === undefined)) return matchesFilter(machine, filter, Date.now());
  const timeless = clone(MachineFilterSchema, filter);
  for (const name of ofTime) delete timeless[name];
  return matchesFilter(machine, timeless, Date.now()) ? undefined : false;
}
