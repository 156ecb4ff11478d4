/** A dialog for an action that wipes nothing: its fields, the command that does the same, and how far it is. */
import { type ReactNode, useState } from "react";
import { ConfirmAction } from "../ui/confirm-action.tsx";
import { formatCount } from "../ui/format.ts";
import { IdsFile } from "./ids-file.tsx";
import { type ActOnPart, useRun } from "./run.ts";
import { RunNote } from "./run-note.tsx";
import type { Targets } from "./targets.ts";

/** Returns "the machine 4b9f…" or "312 machines". */
export function nameTargets({ machines }: Targets): string {
  return machines.length === 1
    ? `the machine ${machines[0]?.machineId.slice(0, 8)}…`
    : `${formatCount(machines.length)} machines`;
}

/** Asks, and acts on the machines. It closes by itself when nothing failed. */
export function ActionDialog(props: {
  readonly targets: Targets;
  /** What is done, such as "Hold". */
  readonly action: string;
  /** What stands between the action and the machines in the title, such as "of". */
  readonly preposition?: "of" | "on";
  /** The command that does the same. */
  readonly command: string;
  /** Machines of a call: more than one only where the API takes many. */
  readonly partSize?: number;
  readonly isDanger?: boolean;
  /** Returns what is done with a part, or what is wrong with the fields. */
  readonly prepare: () => ActOnPart | string;
  readonly onDone?: () => void;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}) {
  const { targets, action, preposition, command, partSize = 1, isDanger = false } = props;
  const { prepare, onDone, onClose, children } = props;
  const run = useRun();
  const [mistake, setMistake] = useState<string>();
  const submit = async () => {
    const act = prepare();
    setMistake(typeof act === "string" ? act : undefined);
    if (typeof act === "string") return;
    const failures = await run.start(targets.machines, partSize, act);
    if (failures?.length !== 0) return;
    onDone?.();
    onClose();
  };
  return (
    <ConfirmAction
      title={[action, preposition, nameTargets(targets)].filter(Boolean).join(" ")}
      action={action}
      kind={isDanger ? "danger" : "primary"}
      command={command}
      isBusy={run.isBusy}
      error={undefined}
      mistake={mistake}
      note={
        <>
          <IdsFile targets={targets} />
          <RunNote progress={run.progress} doing={action} />
        </>
      }
      closeLabel={run.isBusy ? "Stop" : "Close"}
      onClose={onClose}
      onConfirm={() => void submit()}
    >
      {children}
    </ConfirmAction>
  );
}
