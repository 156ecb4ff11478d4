/** Columns of the table of machines. */
import type { Machine } from "@api/machine_pb.js";
import { createColumnHelper } from "@tanstack/react-table";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { formatBytes, formatCount } from "../../ui/format.ts";
import { HoldBadge } from "../../ui/hold-badge.tsx";
import { writeLabels } from "../../ui/label-text.ts";
import { MachineLink } from "../../ui/machine-link.tsx";
import { Badge, StateBadge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toneOfIssue } from "../../ui/severity.tsx";
import { Time } from "../../ui/time.tsx";

const helper = createColumnHelper<TableAbilities, Machine>();

/** How much of a text a cell shows, in characters. */
const cellLimit = 40;

/** All columns. */
export const machineColumns = helper.columns([
  helper.accessor("id", {
    id: "id",
    header: "Machine",
    cell: ({ getValue }) => <MachineLink machineId={getValue()} />,
  }),
  helper.accessor("state", { id: "state", header: "State", cell: ({ getValue }) => <StateBadge state={getValue()} /> }),
  helper.accessor("stateTime", {
    id: "since",
    header: "Since",
    cell: ({ getValue }) => <Time at={getValue()} as="age" />,
  }),
  helper.display({ id: "issues", header: "Issues", cell: ({ row }) => <Issues machine={row.original} /> }),
  helper.accessor((machine) => machine.provided?.provider ?? "", {
    id: "provider",
    header: "Provider",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => machine.provided?.location ?? "", {
    id: "location",
    header: "Location",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => machine.hardware?.product ?? "", {
    id: "product",
    header: "Product",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => machine.hardware?.cpuThreads, {
    id: "threads",
    header: "Threads",
    cell: ({ getValue }) => <span className="number">{formatOptional(getValue(), formatCount)}</span>,
  }),
  helper.accessor((machine) => machine.hardware?.memoryBytes, {
    id: "memory",
    header: "Memory",
    cell: ({ getValue }) => (
      <span className="number">{formatOptional(getValue(), (each) => formatBytes(each, "binary"))}</span>
    ),
  }),
  helper.accessor((machine) => machine.hardware?.serialNumber ?? "", {
    id: "serial",
    header: "Serial number",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => machine.hardware?.diskBytes, {
    id: "disks",
    header: "Disks",
    cell: ({ getValue }) => <span className="number">{formatOptional(getValue(), formatBytes)}</span>,
  }),
  helper.accessor((machine) => machine.agent?.heartbeatTime, {
    id: "heartbeat",
    header: "Heartbeat",
    cell: ({ getValue }) => (getValue() === undefined ? "" : <Time at={getValue()} as="age" />),
  }),
  helper.accessor((machine) => machine.agent?.version ?? "", {
    id: "version",
    header: "Agent",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => machine.hold?.reason ?? "", {
    id: "hold",
    header: "Held",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
  helper.accessor((machine) => writeLabels(machine.labels), {
    id: "labels",
    header: "Labels",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
  }),
]);

/** Shows the most urgent issue, how many others there are, and whether the machine is held. */
function Issues({ machine: { issues, hold } }: { readonly machine: Machine }) {
  const [first, ...others] = issues;
  return (
    <>
      {first !== undefined && <Badge tone={toneOfIssue(first.severity)}>{first.type.replaceAll("_", " ")}</Badge>}
      {others.length > 0 && <span className="quiet"> and {formatCount(others.length)} more</span>}
      {hold !== undefined && <HoldBadge hold={hold} />}
    </>
  );
}

/** Columns that can be chosen, with what they are called; the id is always there. */
export const columnChoices: readonly (readonly [id: string, name: string])[] = machineColumns.flatMap(
  ({ id = "", header }) => (id === "id" ? [] : [[id, String(header)] as const]),
);

/** Columns of a URL that names none. */
export const usualColumns: readonly string[] = "state since issues provider location product memory".split(" ");

function formatOptional<Value>(value: Value | undefined, format: (value: Value) => string): string {
  return value === undefined ? "" : format(value);
}
