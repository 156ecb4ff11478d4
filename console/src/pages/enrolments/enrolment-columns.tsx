/** Columns of the table of enrolments. */
import { type Enrolment, EnrolmentState } from "@api/enrolment_pb.js";
import { createColumnHelper } from "@tanstack/react-table";
import { enrolmentStates } from "../../../../src/contract/enrolment-selector.ts";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { Badge, type Tone } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

/** How much of a text a cell shows, in characters. */
const cellLimit = 40;

const tones: Readonly<Record<EnrolmentState, Tone>> = {
  [EnrolmentState.UNSPECIFIED]: "calm",
  [EnrolmentState.WAITING]: "warn",
  [EnrolmentState.APPROVED]: "good",
  [EnrolmentState.REJECTED]: "bad",
};

/** Shows the state of an enrolment. */
export function EnrolmentBadge({ state }: { readonly state: EnrolmentState }) {
  return <Badge tone={tones[state] ?? "calm"}>{enrolmentStates.nameOf(state)}</Badge>;
}

/** Says what an operator should know before deciding. */
function Note({ enrolment }: { readonly enrolment: Enrolment }) {
  const { machineId, decider, lookalikes, expectedMachineId, waitReason } = enrolment;
  if (machineId !== "") return <MachineLink machineId={machineId} />;
  if (decider !== "") return <SafeText text={`by ${decider}`} limit={cellLimit} />;
  if (waitReason !== "") return <SafeText text={waitReason} limit={90} />;
  const others = lookalikes.filter((each) => expectedMachineId === "" || each.machineId !== expectedMachineId);
  return (
    <>
      {expectedMachineId !== "" && <Badge tone="good">expected</Badge>}
      {expectedMachineId !== "" && others.length > 0 && " "}
      {others.length > 0 && <Badge tone="warn">{nameOthers(others.map((each) => each.machineId !== ""))}</Badge>}
    </>
  );
}

function nameOthers(areMachines: readonly boolean[]): string {
  const what = areMachines.some(Boolean) ? "resembles a known machine" : "resembles another that waits";
  return areMachines.length > 1 ? `${what} and ${areMachines.length - 1} more` : what;
}

const helper = createColumnHelper<TableAbilities, Enrolment>();

/** Returns all columns. `onOpen` shows an enrolment in full. */
export function makeEnrolmentColumns(onOpen: (enrolmentId: string) => void) {
  return helper.columns([
    helper.accessor("id", {
      header: "Enrolment",
      cell: ({ getValue }) => (
        <button type="button" className="link mono" title={getValue()} onClick={() => onOpen(getValue())}>
          {getValue().slice(0, 8)}
        </button>
      ),
    }),
    helper.accessor("state", { header: "State", cell: ({ getValue }) => <EnrolmentBadge state={getValue()} /> }),
    helper.display({ id: "note", header: "Note", cell: ({ row }) => <Note enrolment={row.original} /> }),
    helper.accessor(({ manufacturer, product }) => [manufacturer, product].filter(Boolean).join(" "), {
      id: "hardware",
      header: "Hardware",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
    }),
    helper.accessor("serialNumber", {
      header: "Serial number",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
    }),
    helper.accessor("address", { header: "Address", cell: ({ getValue }) => <code>{getValue()}</code> }),
    helper.accessor("firstSeenTime", {
      header: "First seen",
      cell: ({ getValue }) => <Time at={getValue()} as="age" />,
    }),
    helper.accessor("lastSeenTime", { header: "Last seen", cell: ({ getValue }) => <Time at={getValue()} as="age" /> }),
  ]);
}
