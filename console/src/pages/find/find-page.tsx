/** Finds machines by anything that names them, and says where a part is and where it was. */
import { HardwareService, type Part } from "@api/hardware_service_pb.js";
import { type FoundMachine, MachineService, type Match, MatchKind } from "@api/machine_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useEffect, useState } from "react";
import { namesOf } from "../../../../src/contract/enum-names.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable, type TableAbilities } from "../../ui/data-table.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { findField } from "../../ui/keyboard.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { Badge, StateBadge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";

/** Most machines that are returned. */
const limit = 100;

const kinds = namesOf<MatchKind>(MatchKind);

/** The page at /find. */
export function FindPage() {
  const { text = "" } = useSearch({ from: "/find" });
  const navigate = useNavigate({ from: "/find" });
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  return (
    <>
      <h1>Find</h1>
      <form
        className="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          void navigate({ search: typed.trim() === "" ? {} : { text: typed.trim() } });
        }}
      >
        <input
          className="grow"
          type="search"
          aria-label="What to look for"
          placeholder="Serial number, MAC address, WWN, id, address or label of a machine or a disk, or its beginning"
          value={typed}
          maxLength={255}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setTyped(event.target.value)}
          {...findField}
        />
        <button type="submit" className="primary">
          Find
        </button>
      </form>
      {text === "" ? (
        <p className="quiet">
          Case, spaces and separators of hexadecimal digits do not matter. Parts are found once an agent has reported
          them.
        </p>
      ) : (
        <Found key={text} text={text} />
      )}
    </>
  );
}

function Found({ text }: { readonly text: string }) {
  const navigate = useNavigate();
  const machines = useQuery(MachineService.method.findMachines, { text, limit });
  const parts = useQuery(HardwareService.method.findParts, { text });
  const holders = (parts.data?.parts ?? []).flatMap(toHolders);
  const shown = new Set([
    ...(machines.data?.results ?? noMachines).map(({ machine }) => machine?.id),
    ...holders.map(({ holder }) => holder.machineId),
  ]);
  const concerns = ({ machineId }: { readonly machineId: string }) => shown.has(machineId);
  useRefresh(MachineService.method.findMachines, concerns);
  useRefresh(HardwareService.method.findParts, concerns);
  return (
    <>
      <h2>Machines</h2>
      <QueryError query={machines} />
      <DataTable
        caption="Machines"
        columns={machineColumns}
        rows={machines.data?.results ?? noMachines}
        getRowId={({ machine }) => machine?.id ?? ""}
        onOpen={({ machine }) =>
          void navigate({ to: "/machines/$machineId", params: { machineId: machine?.id ?? "" } })
        }
        note={machines.isPending ? "Looking…" : undefined}
        empty="No machine has this, nor anything that begins with it."
      />
      {machines.data?.more && <p role="status">More machines match: write more of it.</p>}
      <CopyableCommand command={toCommand("bmaas", "machines", "find", text)} />
      <h2>Where the part is, and where it was</h2>
      <QueryError query={parts} />
      <DataTable
        caption="Parts"
        columns={holderColumns}
        rows={holders}
        getRowId={({ key }) => key}
        note={parts.isPending ? "Looking…" : undefined}
        empty="No machine has or had a part with this."
      />
      {parts.data?.more && <p role="status">There are more: write more of the serial number.</p>}
      <CopyableCommand command={toCommand("bmaas", "hardware", "where", text)} />
    </>
  );
}

const noMachines: readonly FoundMachine[] = [];

const machineHelper = createColumnHelper<TableAbilities, FoundMachine>();

const machineColumns = machineHelper.columns([
  machineHelper.accessor(({ machine }) => machine?.id ?? "", {
    id: "machine",
    header: "Machine",
    cell: ({ getValue }) => <MachineLink machineId={getValue()} />,
  }),
  machineHelper.display({ id: "match", header: "Found by", cell: ({ row }) => <Matches {...row.original} /> }),
  machineHelper.display({
    id: "state",
    header: "State",
    cell: ({ row: { original } }) => original.machine && <StateBadge state={original.machine.state} />,
  }),
  machineHelper.accessor(
    ({ machine }) => [machine?.provided?.provider, machine?.provided?.location].filter(Boolean).join(" "),
    { id: "place", header: "Place", cell: ({ getValue }) => <SafeText text={getValue()} limit={40} /> },
  ),
]);

/** Says the best match, and how many others there are. */
function Matches({ matches: [best, ...others] }: FoundMachine) {
  if (best === undefined) return null;
  return (
    <>
      <SafeText text={nameMatch(best)} limit={120} />
      {best.goneTime !== undefined && (
        <>
          , until <Time at={best.goneTime} />
        </>
      )}
      {others.length > 0 && <span className="quiet"> and {others.length} more</span>}
    </>
  );
}

function nameMatch({ kind, value, part }: Match): string {
  if (kind === MatchKind.LABEL) return `label ${part}=${value}`;
  return `${nameKind(kind)} ${value}${part === "" ? "" : ` (${part})`}`;
}

function nameKind(kind: MatchKind): string {
  if (kind === MatchKind.MAC) return "MAC address";
  return kinds.nameOf(kind).replaceAll("_", " ").replace("wwn", "WWN").replace("uuid", "UUID");
}

/** A part in a machine. */
interface Holder extends Pick<Part, "kind" | "value" | "part"> {
  readonly key: string;
  readonly holder: Part["holders"][number];
}

function toHolders({ kind, value, part, holders }: Part): Holder[] {
  return holders.map((holder) => ({ kind, value, part, holder, key: `${kind} ${value} ${part} ${holder.machineId}` }));
}

const holderHelper = createColumnHelper<TableAbilities, Holder>();

const holderColumns = holderHelper.columns([
  holderHelper.accessor(({ kind, value }) => `${nameKind(kind)} ${value}`, {
    id: "identifier",
    header: "Part",
    cell: ({ getValue }) => <SafeText text={getValue()} limit={80} />,
  }),
  holderHelper.accessor("part", { header: "Model", cell: ({ getValue }) => <SafeText text={getValue()} limit={40} /> }),
  holderHelper.accessor(({ holder }) => holder.machineId, {
    id: "machine",
    header: "Machine",
    cell: ({ getValue }) => <MachineLink machineId={getValue()} />,
  }),
  holderHelper.accessor(({ holder }) => holder.sinceTime, {
    id: "since",
    header: "Since",
    cell: ({ getValue }) => <Time at={getValue()} />,
  }),
  holderHelper.accessor(({ holder }) => holder.goneTime, {
    id: "until",
    header: "Until",
    cell: ({ getValue }) =>
      getValue() === undefined ? <Badge tone="good">there now</Badge> : <Time at={getValue()} />,
  }),
]);
