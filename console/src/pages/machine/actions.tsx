/** The buttons of what can be done with the machine, and the dialogs behind them. */
import type { Machine } from "@api/machine_pb.js";
import { CancelDialog, DeleteDialog } from "../../actions/end-dialogs.tsx";
import { HoldDialog, ReleaseDialog } from "../../actions/hold-dialog.tsx";
import { LabelDialog } from "../../actions/label-dialog.tsx";
import { RequestDialog } from "../../actions/request-dialog.tsx";
import { RetryDialog } from "../../actions/retry-dialog.tsx";
import { toTargets } from "../../actions/targets.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { type ActionName, actionRows } from "./machine-action.ts";

/** Opens the dialog of an action. */
export type OnAct = (name: ActionName) => void;

interface ActionsProps {
  readonly machine: Machine;
  readonly onAct: OnAct;
}

/** Shows a button for each action that fits the machine. */
export function Actions({ machine, onAct }: ActionsProps) {
  const names: readonly ActionName[] = [
    "request",
    "retry",
    "cancel",
    "hold",
    ...(machine.hold === undefined ? [] : (["release"] as const)),
    "label",
    "delete",
  ];
  return (
    <fieldset className="toolbar plain-set">
      <legend className="visually-hidden">Actions</legend>
      {names.map((name) => (
        <MachineActionButton key={name} name={name} machine={machine} onAct={onAct} />
      ))}
    </fieldset>
  );
}

/** A button that opens the dialog of an action, or says why it cannot be carried out. */
export function MachineActionButton({ name, machine, onAct }: ActionsProps & { readonly name: ActionName }) {
  const { title, role, findObstacle } = actionRows[name];
  const { reason = findObstacle?.(machine) } = useMay(role);
  return (
    <ActionButton onClick={() => onAct(name)} reason={reason}>
      {title}
    </ActionButton>
  );
}

/** The dialog of an action. The server refuses it when the machine has changed since it was opened. */
export function MachineActionDialog(props: {
  readonly name: ActionName;
  readonly machine: Machine;
  readonly onClose: () => void;
}) {
  const targets = toTargets([props.machine]);
  const own = { targets, onClose: props.onClose };
  switch (props.name) {
    case "request":
      return <RequestDialog {...own} />;
    case "supersede":
      return <RequestDialog {...own} supersede />;
    case "retry":
      return <RetryDialog {...own} />;
    case "cancel":
      return <CancelDialog {...own} />;
    case "hold":
      return <HoldDialog {...own} />;
    case "release":
      return <ReleaseDialog {...own} />;
    case "label":
      return <LabelDialog {...own} />;
    case "delete":
      return <DeleteDialog {...own} />;
  }
}
