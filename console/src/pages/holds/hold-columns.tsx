/** Columns of the table of machines that are held. */
import type { Machine } from "@api/machine_pb.js";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { createColumnHelper } from "@tanstack/react-table";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { Badge, StateBadge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Ticket } from "../../ui/ticket.tsx";
import { Time, useIsPast } from "../../ui/time.tsx";

const helper = createColumnHelper<TableAbilities, Machine>();

/** All columns. */
export const holdColumns = helper.columns([
  helper.accessor("id", { header: "Machine", cell: ({ getValue }) => <MachineLink machineId={getValue()} /> }),
  helper.accessor((machine) => machine.hold?.reason ?? "", {
    id: "reason",
    header: "Held because",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={60} />,
  }),
  helper.accessor((machine) => machine.hold?.ticket ?? "", {
    id: "ticket",
    header: "Ticket",
    cell: ({ getValue }) => <Ticket text={getValue()} />,
  }),
  helper.accessor((machine) => machine.hold?.endTime, {
    id: "until",
    header: "Ends",
    cell: ({ getValue }) =>
      getValue() === undefined ? <span className="quiet">on release</span> : <HoldEnd at={getValue()} />,
  }),
  helper.accessor((machine) => machine.hold?.actor ?? "", {
    id: "actor",
    header: "Held",
    cell: ({ getValue, row }) => (
      <>
        <Time at={row.original.hold?.holdTime} as="age" /> by <SafeText text={getValue()} limit={40} />
      </>
    ),
  }),
  helper.accessor((machine) => machine.hold?.muted === true, {
    id: "muted",
    header: "Alerts",
    cell: ({ getValue }) => (getValue() ? <Badge tone="calm">muted</Badge> : "as usual"),
  }),
  helper.accessor("state", { header: "State", cell: ({ getValue }) => <StateBadge state={getValue()} /> }),
]);

function HoldEnd({ at }: { readonly at: Timestamp | undefined }) {
  return (
    <>
      {useIsPast(at) && "ended "}
      <Time at={at} as="age" />
    </>
  );
}
