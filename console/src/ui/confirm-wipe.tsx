/** The question before an installation wipes disks: the same that the command line asks. */
import { type ReactNode, useId, useState } from "react";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { formatCount } from "./format.ts";
import { SafeText } from "./safe-text.tsx";

/** How many ids the question names. */
const maxShownIds = 5;

/** Asks before machines are wiped. For more than one, their number must be typed in. */
export function ConfirmWipe(props: {
  /** What is about to happen, such as "Install". */
  readonly action: string;
  /** Ids of the machines, or the first of them. */
  readonly machineIds: readonly string[];
  /** Number of machines. */
  readonly count: number;
  /** What is wiped, such as "the disk with serial number S4X" or "the smallest disk". */
  readonly disk: string;
  /** Returns the disk of a machine, where each has another one. */
  readonly diskOf?: (machineId: string) => string;
  /** Stands below the list, such as what is not wiped, and how far the action is. */
  readonly children?: ReactNode;
  readonly isBusy?: boolean;
  readonly onConfirm: () => void;
  readonly onCancel: () => void;
  /** Goes back to what was typed; absent where nothing was. */
  readonly onBack?: (() => void) | undefined;
}) {
  const { action, machineIds, count, disk, diskOf, children, isBusy = false, onConfirm, onCancel, onBack } = props;
  const [typed, setTyped] = useState("");
  const id = useId();
  const isSure = count === 1 || typed.trim() === String(count);
  const shown = machineIds.slice(0, maxShownIds);
  // Calls that are under way cannot be taken back; those that would follow are not made. Nobody hears then how it ends.
  const closeLabel = isBusy ? "Stop" : "Cancel";
  const what = count === 1 ? "1 machine" : `${formatCount(count)} machines`;
  return (
    <Dialog title={`${action}: wipe ${what}?`} onClose={onCancel} closeLabel={closeLabel} isSticky={isBusy}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSure && !isBusy) onConfirm();
        }}
      >
        <p>
          This wipes <SafeText text={disk} /> of {what}. Nothing brings the data back.
        </p>
        <ul className="mono">
          {shown.map((each) => (
            <li key={each}>
              {each}
              {diskOf !== undefined && (
                <div className="quiet">
                  <SafeText text={diskOf(each)} />
                </div>
              )}
            </li>
          ))}
          {count > shown.length && <li>and {formatCount(count - shown.length)} more</li>}
        </ul>
        {children}
        {count > 1 && (
          <div className="field">
            <label htmlFor={id}>
              Type <b>{count}</b> to go on
            </label>
            <input id={id} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" />
          </div>
        )}
        <div className="actions">
          {onBack === undefined ? (
            <button type="button" onClick={onCancel}>
              {closeLabel}
            </button>
          ) : (
            <Button isInert={isBusy} onClick={onBack}>
              Back
            </Button>
          )}
          <Button type="submit" className="danger" isInert={!isSure || isBusy}>
            {isBusy ? "Working…" : `${action} and wipe ${what}`}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
