/**
 * Shows what the server refuses, and forces what it refuses unless it is forced: an image for an agent that may not
 * know images.
 */
import { ConnectError } from "@connectrpc/connect";
import { type ReactNode, useState } from "react";
import { PreconditionFailureSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Tick } from "../ui/fields.tsx";
import { formatCount } from "../ui/format.ts";
import type { Failure } from "./run.ts";
import { FailureList } from "./run-note.tsx";

/** Returns whether an installation that was refused with this error can be forced. */
export function canForce(error: unknown): boolean {
  return ConnectError.from(error)
    .findDetails(PreconditionFailureSchema)
    .some(({ violations }) => violations.some(({ type }) => type === "AGENT_TOO_OLD"));
}

/** What may follow from forcing an installation. */
export const forceRisk = "the agent has never shown that it supports images; it may report an error and reboot.";

/** The box to tick for it. */
export function ForceTick(props: {
  readonly name?: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { name = "Force", isOn, onChange } = props;
  return (
    <Tick name={name} isOn={isOn} onChange={onChange}>
      Even if {forceRisk}
    </Tick>
  );
}

/** Shows why the server would refuse, and offers to force what can be forced. Nothing is ticked beforehand. */
export function RefusedDialog(props: {
  readonly action: string;
  /** Number of machines. */
  readonly total: number;
  readonly refused: readonly Failure[];
  /** Whether nothing else is left of the action. */
  readonly isAll: boolean;
  readonly isBusy: boolean;
  readonly onForce: (machineIds: readonly string[]) => void;
  readonly onLeaveOut: () => void;
  readonly onClose: () => void;
  /** Goes back to what was typed; absent where nothing was. */
  readonly onBack: (() => void) | undefined;
}) {
  const { action, total, refused, isAll, isBusy, onForce, onLeaveOut, onClose, onBack } = props;
  const forcible = refused.filter(({ error }) => canForce(error));
  return (
    <Dialog title={action} onClose={onClose}>
      <p>
        {isAll
          ? `Nothing was done: the server would refuse ${total === 1 ? "this" : "each of them"}.`
          : "Nothing was done yet: the server would refuse these unless they are forced."}
      </p>
      <FailureList failures={isAll ? refused : forcible} total={total} what="Refused" />
      {isAll && <BackToForm onBack={onBack} />}
      {forcible.length > 0 && (
        <ForceForm
          name={total === 1 ? "Force" : `Force ${formatCount(forcible.length)} of ${formatCount(total)}`}
          isBusy={isBusy}
          onForce={() => onForce(forcible.map(({ machineId }) => machineId))}
        >
          {!isAll && (
            <Button isInert={isBusy} onClick={onLeaveOut}>
              Leave them out
            </Button>
          )}
        </ForceForm>
      )}
    </Dialog>
  );
}

/** A button that leads back to what was typed, to mend it; nothing where nothing was typed. */
export function BackToForm({ onBack }: { readonly onBack: (() => void) | undefined }) {
  if (onBack === undefined) return null;
  return (
    <p>
      <button type="button" onClick={onBack}>
        Change what you asked for
      </button>
    </p>
  );
}

function ForceForm(props: {
  /** What is ticked. */
  readonly name: string;
  readonly isBusy: boolean;
  readonly onForce: () => void;
  /** Stands beside the button. */
  readonly children: ReactNode;
}) {
  const { name, isBusy, onForce, children } = props;
  const [isSure, setIsSure] = useState(false);
  const isInert = !isSure || isBusy;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!isInert) onForce();
      }}
    >
      <ForceTick name={name} isOn={isSure} onChange={setIsSure} />
      <div className="actions">
        {children}
        <Button type="submit" isInert={isInert}>
          {isBusy ? "Asking…" : "Go on: which disk?"}
        </Button>
      </div>
    </form>
  );
}
