/** Columns of the table of machines. */
import type { Machine } from "@api/machine_pb.js";
import { createColumnHelper } from "@tanstack/react-table";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { formatBytes, formatCount } from "../../ui/format.ts";
import { StateBadge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

const helper = createColumnHelper<TableAbilities, Machine>();

/** How much of a text a cell shows, in characters. */
const cellLimit = 40;

/** All columns. */
export const machineColumns = helper.columns([
  helper.accessor("id", { id: "id", header: "Machine", cell: ({ getValue }) => <code>{getValue()}</code> }),
  helper.accessor("state", { id: "state", header: "State", cell: ({ getValue }) => <StateBadge state={getValue()} /> }),
  helper.accessor("stateTime", {
    id: "since",
    header: "Since",
    cell: ({ getValue }) => <Time at={getValue()} as="age" />,
  }),
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
]);

function formatOptional<Value>(value: Value | undefined, format: (value: Value) => string): string {
  return value === undefined ? "" : format(value);
}
