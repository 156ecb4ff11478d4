/** The buttons of what can be done with the machine. */
import type { Machine } from "@api/machine_pb.js";
import { type ActionName, actionRows } from "../../actions/action-rows.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";

/** Opens the dialog of an action. */
export type OnAct = (name: ActionName) => void;

/** What an action needs of the page. */
export interface ActionsProps {
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
    "alert",
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
