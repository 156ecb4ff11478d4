/** `bmaas status` */
import { Command, Option } from "commander";
import {
  type FleetGroup,
  FleetService,
  type GetFleetResponse,
  GetFleetResponseSchema,
} from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineState } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { findLabel, parseLabelKey } from "../contract/labels.ts";
import { machineStates } from "../contract/machine-selector.ts";
import { argumentParser, parseQuoted } from "./operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "./operator/operate.ts";
import { type Cell, note, paint, print, printMessage, printTable } from "./operator/output.ts";
import { formatCapacity, formatMemory } from "./operator/quantity.ts";
import { showMachineState } from "./operator/state-names.ts";
import { ageOf } from "./operator/timestamp-text.ts";

interface StatusFlags extends OperatorFlags {
  readonly by?: Grouping;
}

/** Property by which machines are grouped. */
type Grouping = "provider" | "location" | { readonly labelKey: string };

/** Creates the command `bmaas status`. */
export function statusCommand(): Command {
  const command = new Command("status")
    .addOption(
      new Option("--by <group>", "group by provider, by location of a provider, or by label.KEY")
        .choices(["provider", "location", "label."])
        .argParser(groupingArgument),
    )
    .action(
      operate(async (operator, { by, json }: StatusFlags) => {
        const fleet = await operator
          .client(FleetService)
          .getFleet({ labelKeys: typeof by === "object" ? [by.labelKey] : [] });
        if (json) return printMessage(GetFleetResponseSchema, fleet);
        if (fleet.groups.length === 0) {
          note("there are no machines yet; create one with: bmaas machines create");
          return printWaiting(fleet);
        }
        if (by === undefined) printStates(fleet);
        else printGroups(fleet, by);
        note(`counted ${ageOf(fleet.countTime)}`);
        printHeld(fleet);
        printWaiting(fleet);
        printAttention(fleet);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas status", "bmaas status --by location", "bmaas status --by label.rack"],
    more: [
      "\nWith --json: one GetFleetResponse of bmaas.admin.v1, always by provider, location and state, and by the label that" +
        "\n--by names.",
    ],
  });
}

const groupingArgument = argumentParser((text): Grouping => {
  if (text === "provider" || text === "location") return text;
  if (!text.startsWith("label.")) throw new Error("expected provider, location or label.KEY");
  return { labelKey: parseQuoted(text.slice("label.".length), parseLabelKey) };
});

/** Sums over groups. */
interface Sum {
  readonly machines: bigint;
  readonly memoryBytes: bigint;
  readonly cpuThreads: bigint;
  readonly diskBytes: bigint;
}

function sum(groups: readonly FleetGroup[]): Sum {
  const total = (field: keyof Sum) => groups.reduce((before, group) => before + group[field], 0n);
  return {
    machines: total("machines"),
    memoryBytes: total("memoryBytes"),
    cpuThreads: total("cpuThreads"),
    diskBytes: total("diskBytes"),
  };
}

function showCapacity({ memoryBytes, cpuThreads, diskBytes }: Sum): string[] {
  return [formatMemory(memoryBytes), cpuThreads.toString(), formatCapacity(diskBytes)];
}

function printStates({ groups }: GetFleetResponse): void {
  const byState = [...Map.groupBy(groups, (group) => group.state)].sort(([a], [b]) => a - b);
  const rows = byState.map(([state, members]): Cell[] => {
    const total = sum(members);
    return [showMachineState(state), total.machines.toString(), ...showCapacity(total)];
  });
  const total = sum(groups);
  rows.push([{ text: "all", style: "bold" }, total.machines.toString(), ...showCapacity(total)]);
  printTable(["STATE", "MACHINES", "MEMORY", "THREADS", "DISK"], rows);
}

/** Kinds of states for an overview of the fleet. */
const kinds = {
  "NOT SET UP": [MachineState.NOT_PROVIDED, MachineState.NO_AGENT, MachineState.NEVER_HEARTBEATED],
  READY: [MachineState.HEARTBEATING],
  "UNDER WAY": [MachineState.INSTALLATION_PENDING, MachineState.INSTALLATION_GIVEN, MachineState.INSTALLING],
  INSTALLED: [MachineState.INSTALLED],
  ATTENTION: [MachineState.INSTALLATION_FAILED, MachineState.INSTALLATION_OVERDUE, MachineState.STALE],
} as const satisfies Record<string, readonly MachineState[]>;

function printGroups({ groups }: GetFleetResponse, by: Grouping): void {
  const header = typeof by === "object" ? [by.labelKey.toUpperCase()] : placeHeaders[by];
  const members = Map.groupBy(groups, (group) => JSON.stringify(placeOf(group, by)));
  const rows = [...members]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]): Cell[] => {
      const total = sum(group);
      return [
        ...placeOf(group[0] as FleetGroup, by).map((name) => name || "-"),
        total.machines.toString(),
        ...Object.entries(kinds).map(([name, states]) => showCount(name, group, states)),
        ...showCapacity(total),
      ];
    });
  printTable([...header, "MACHINES", ...Object.keys(kinds), "MEMORY", "THREADS", "DISK"], rows);
}

const placeHeaders = { provider: ["PROVIDER"], location: ["PROVIDER", "LOCATION"] } as const;

function placeOf({ provider, location, labels }: FleetGroup, by: Grouping): readonly string[] {
  if (typeof by === "object") return [findLabel(labels, by.labelKey) ?? ""];
  return by === "location" ? [provider, location] : [provider];
}

function showCount(name: string, groups: readonly FleetGroup[], states: readonly MachineState[]): Cell {
  const { machines } = sum(groups.filter(({ state }) => states.includes(state)));
  if (machines === 0n) return { text: "0", style: "dim" };
  return name === "ATTENTION" ? { text: machines.toString(), style: "yellow" } : machines.toString();
}

/** Problem of the machines in a state, and the command that tells more. */
const complaints: readonly { state: MachineState; what: string; verb: string }[] = [
  { state: MachineState.INSTALLATION_FAILED, what: "the last installation failed", verb: "machines explain" },
  { state: MachineState.INSTALLATION_OVERDUE, what: "an installation is overdue", verb: "machines explain" },
  { state: MachineState.STALE, what: "the agent is silent", verb: "machines list" },
];

function printHeld({ groups }: GetFleetResponse): void {
  const held = groups.reduce((total, group) => total + group.heldMachines, 0n);
  if (held === 0n) return;
  const muted = groups.reduce((total, group) => total + group.mutedMachines, 0n);
  const machines = held === 1n ? "1 machine is held" : `${held} machines are held`;
  note(`${machines}, ${muted} of them out of alerts; see them with: bmaas machines list --selector held=yes`);
}

function printWaiting({ waitingEnrolments, oldestWaitingEnrolmentTime }: GetFleetResponse): void {
  if (waitingEnrolments === 0n) return;
  const seen = `first seen ${ageOf(oldestWaitingEnrolmentTime)}`;
  const agents =
    waitingEnrolments === 1n
      ? `1 agent waits to be let in, ${seen}`
      : `${waitingEnrolments} agents wait to be let in, the oldest ${seen}`;
  note(`${agents}; see them with: bmaas enrolments list`);
}

function printAttention({ groups }: GetFleetResponse): void {
  const found = complaints.flatMap(({ state, what, verb }) => {
    const ofState = groups.filter((group) => group.state === state);
    const machines = ofState.reduce((total, group) => total + group.machines - group.mutedMachines, 0n);
    const command = `bmaas ${verb} --selector state=${machineStates.nameOf(state)}`;
    return machines === 0n ? [] : [[{ text: machines.toString(), style: "yellow" }, what, command] as Cell[]];
  });
  const overdue = groups.reduce((total, group) => total + group.stateOverdueMachines, 0n);
  if (overdue > 0n) {
    const command = "bmaas machines explain --selector state-overdue=yes";
    found.push([{ text: overdue.toString(), style: "yellow" }, "in their state for too long", command]);
  }
  if (found.length === 0) return;
  print(`\n${paint("Needs attention", "bold")}`);
  printTable(["MACHINES", "WHY", "COMMAND"], found);
}
