/** The machines, as many as there are: pages are asked for as one scrolls, and rows change as the machines do. */
import type { Machine } from "@api/machine_pb.js";
import { MachineFilterSchema, MachineService } from "@api/machine_service_pb.js";
import { Role } from "@api/role_pb.js";
import { create } from "@bufbuild/protobuf";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { machineTerms } from "../../../../src/contract/machine-selector.ts";
import { joinParts, joinTerms, readTerm } from "../../../../src/contract/selector-terms.ts";
import { useChanges } from "../../live/live-provider.tsx";
import { useRefreshAt } from "../../live/use-refresh-at.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { formatCount } from "../../ui/format.ts";
import { endsOfHolds } from "../../ui/hold-badge.tsx";
import { SwitchMenu } from "../../ui/menu.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { usePages } from "../../ui/use-pages.ts";
import { CreateMachine } from "./create-machine.tsx";
import { columnChoices, machineColumns, usualColumns } from "./machine-columns.tsx";
import { nothingSelected, refreshSelected, SelectionBar } from "./selection-bar.tsx";
import { useLiveRows } from "./use-live-rows.ts";

/** The page at /machines. */
export function MachinesPage() {
  const search = useSearch({ from: "/machines" });
  const navigate = useNavigate({ from: "/machines" });
  const { filter: conditions } = useConditions(search, machineTerms);
  // The columns are in the URL too, and change nothing of what is asked for.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the conditions are what the request is made of.
  const request = useMemo(() => toMachinesRequest(conditions), [conditions?.join("\n")]);
  const pages = usePages({ method: MachineService.method.listMachines, request, pick: pickMachines });
  const { rows, unsure } = useLiveRows(pages, request.filter);
  useRefreshAt(
    [MachineService.method.listMachines],
    useMemo(() => endsOfHolds(rows), [rows]),
  );
  const [selected, setSelected] = useState(nothingSelected);
  const { reason } = useMay(Role.OPERATOR);
  const [isCreating, setIsCreating] = useState(false);
  useChanges((changes) => setSelected((former) => refreshSelected(former, changes, request.filter)));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter shows other machines.
  useEffect(() => setSelected(nothingSelected), [request]);
  const selectedIds = useMemo(() => new Set(selected.machines.keys()), [selected]);
  const columns: readonly string[] = search.columns ?? usualColumns;

  return (
    <>
      <h1>Machines</h1>
      <div className="toolbar">
        <ConditionFilter
          rules={machineTerms}
          conditions={conditions}
          placeholder="Filter: state=stale, provider=…, label.rack=…"
          onChange={({ filter }) =>
            void navigate({
              search: ({ columns: shown }) => ({ ...(filter && { filter }), ...(shown && { columns: shown }) }),
            })
          }
        />
        <SwitchMenu
          label="Columns"
          switches={columnChoices.map(([id, name]) => ({ id, name, isOn: columns.includes(id) }))}
          onChange={(id, isOn) => {
            const next = isOn ? [...columns, id] : columns.filter((each) => each !== id);
            void navigate({ search: { ...search, columns: next.length > 0 ? next : ["id"] }, replace: true });
          }}
        />
        <ActionButton reason={reason} onClick={() => setIsCreating(true)}>
          Create…
        </ActionButton>
      </div>
      <SelectionBar
        selected={selected}
        filter={request.filter}
        selector={conditions && joinTerms(conditions)}
        onSelect={setSelected}
      />
      {unsure > 0 && (
        <p role="status">
          {formatCount(unsure)} new:{" "}
          <button type="button" onClick={pages.readAnew}>
            Reload
          </button>
        </p>
      )}
      <PagedTable
        pages={pages}
        caption="Machines"
        isSingleLine
        columns={machineColumns}
        hiddenColumns={columnChoices.flatMap(([id]) => (columns.includes(id) ? [] : [id]))}
        rows={rows}
        getRowId={(machine) => machine.id}
        onOpen={({ id }) => void navigate({ to: "/machines/$machineId", params: { machineId: id } })}
        selection={{
          ids: selectedIds,
          onChange: (ids) => setSelected({ machines: pick(ids, rows, selected.machines), isAll: false }),
        }}
        empty={conditions === undefined ? "There are no machines yet." : "No machine matches."}
      />
      {isCreating && <CreateMachine onClose={() => setIsCreating(false)} />}
    </>
  );
}

/** Returns the machines with these ids. Some may have been selected by the filter and are not among the rows. */
function pick(ids: ReadonlySet<string>, rows: readonly Machine[], former: ReadonlyMap<string, Machine>) {
  const byId = new Map([...former, ...rows.map((row) => [row.id, row] as const)]);
  return new Map([...ids].flatMap((id) => [[id, byId.get(id)] as const]).filter(hasMachine));
}

function hasMachine(entry: readonly [string, Machine | undefined]): entry is readonly [string, Machine] {
  return entry[1] !== undefined;
}

const pickMachines = (answer: { readonly machines: readonly Machine[] }) => answer.machines;

function toMachinesRequest(conditions: readonly string[] = []) {
  const parts = conditions.map((each) => readTerm(each, machineTerms));
  return { filter: create(MachineFilterSchema, joinParts(parts)) };
}
