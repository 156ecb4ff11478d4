/** What can be done with the machines that are selected, and how to select all that match the filter. */

import type { Machine } from "@api/machine_pb.js";
import { type MachineFilter, MachineService, type WatchMachinesResponse } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useEffect, useRef, useState } from "react";
import { type ActionName, actionRows } from "../../actions/action-rows.ts";
import { DialogOf } from "../../actions/dialog-of.tsx";
import { type Targets, toTargets } from "../../actions/targets.ts";
import type { Changes } from "../../live/live-feed.ts";
import { useChanges } from "../../live/live-provider.tsx";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { Button } from "../../ui/button.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { toCommand } from "../../ui/shell-words.ts";
import { matches } from "./matches.ts";

/** Machines in a page of the API. */
const pageSize = 1_000;

/** Machines that are selected. */
export interface Selected {
  /** By id; live changes keep them current. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** Whether they are all that matched the filter. */
  readonly isAll: boolean;
}

/** Nothing is selected. */
export const nothingSelected: Selected = { machines: new Map(), isAll: false };

/**
 * Returns the selection with the machines as they are after some changes. Of all that matched the filter, those that do
 * not match any more go: nobody has looked at them as they are now.
 */
export function refreshSelected(selected: Selected, changes: Changes, filter: MachineFilter): Selected {
  const touched = changes.filter(({ machineId }) => selected.machines.has(machineId));
  if (touched.length === 0) return selected;
  const machines = new Map(selected.machines);
  for (const { machineId, machine } of touched) {
    const isGone = machine === undefined || (selected.isAll && matches(machine, filter) === false);
    if (isGone) machines.delete(machineId);
    else machines.set(machineId, machine);
  }
  return { ...selected, machines };
}

/** What names all machines in a command, which takes no empty selector. */
const everyMachine = "$(bmaas machines list --json | jq -r '.machines[].id')";

/** What can be done with many. */
const names: readonly ActionName[] = [
  ...(["request", "retry", "cancel", "hold", "release", "label"] as const),
  ...(["revoke", "delete"] as const),
];

/** Shows how many are selected, and the actions. */
export function SelectionBar(props: {
  readonly selected: Selected;
  readonly filter: MachineFilter;
  /** The filter as a selector of the command line. */
  readonly selector: string | undefined;
  readonly onSelect: (selected: Selected) => void;
}) {
  const { selected, filter, selector, onSelect } = props;
  const [opened, setOpened] = useState<{ readonly name: ActionName; readonly targets: Targets }>();
  const count = selected.machines.size;
  const open = (name: ActionName) => {
    const byFilter = selector === undefined ? everyMachine : `--selector ${toCommand(selector)}`;
    setOpened({ name, targets: toTargets([...selected.machines.values()], selected.isAll ? byFilter : undefined) });
  };
  return (
    <fieldset className="toolbar plain-set">
      <legend className="visually-hidden">Selection</legend>
      <SelectAll filter={filter} onSelect={onSelect} />
      <span role="status">
        {count > 0 && `${selected.isAll ? "all " : ""}${formatCount(count)} selected`}
        {count === 0 && <span className="quiet">none selected</span>}
      </span>
      {count > 0 && (
        <>
          {names.map((name) => (
            <ForMany key={name} name={name} onClick={() => open(name)} />
          ))}
          <button type="button" className="link" onClick={() => onSelect(nothingSelected)}>
            Select none
          </button>
        </>
      )}
      {opened !== undefined && <DialogOf {...opened} onClose={() => setOpened(undefined)} />}
    </fieldset>
  );
}

function ForMany({ name, onClick }: { readonly name: ActionName; readonly onClick: () => void }) {
  const { title, role } = actionRows[name];
  const { reason } = useMay(role);
  return (
    <ActionButton onClick={onClick} reason={reason}>
      {title}
    </ActionButton>
  );
}

/** Lists all machines that match, page by page, and selects them, unless the filter is another one by then. */
function SelectAll(props: { readonly filter: MachineFilter; readonly onSelect: (selected: Selected) => void }) {
  const { filter, onSelect } = props;
  const transport = useTransport();
  const [found, setFound] = useState<number>();
  const [error, setError] = useState<unknown>();
  const reading = useRef<AbortController>(undefined);
  /** What changes while the machines are being listed: pages that were read before do not know it. */
  const heard = useRef<WatchMachinesResponse[]>(undefined);
  useChanges((changes) => void heard.current?.push(...changes));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter makes another selection.
  useEffect(
    () => () => {
      reading.current?.abort();
      heard.current = undefined;
      setFound(undefined);
      setError(undefined);
    },
    [filter],
  );
  const select = async () => {
    const client = createClient(MachineService, transport);
    const machines = new Map<string, Machine>();
    reading.current = new AbortController();
    const { signal } = reading.current;
    setError(undefined);
    heard.current = [];
    try {
      let pageToken = "";
      do {
        setFound(machines.size);
        const page = await client.listMachines({ filter, pageSize, pageToken }, { signal });
        for (const machine of page.machines) machines.set(machine.id, machine);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      if (signal.aborted) return;
      onSelect(refreshSelected({ machines, isAll: true }, heard.current ?? [], filter));
    } catch (trouble) {
      if (signal.aborted) return;
      setError(trouble);
    }
    heard.current = undefined;
    setFound(undefined);
  };
  return (
    <>
      <Button isInert={found !== undefined} onClick={() => void select()}>
        {found === undefined ? "Select all that match" : `${formatCount(found)}…`}
      </Button>
      {error !== undefined && <ErrorNote error={error} onRetry={() => void select()} />}
    </>
  );
}
