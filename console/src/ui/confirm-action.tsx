/** Asks before something happens that wipes nothing, and shows the command that does the same. */
import type { ReactNode } from "react";
import { CopyableCommand } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { ErrorNote, Trouble } from "./error-note.tsx";

/** Shows what the action means, as children, and does it on confirmation. What is typed is checked by `onConfirm`. */
export function ConfirmAction(props: {
  readonly title: string;
  /** Name of the button that acts. */
  readonly action: string;
  readonly command: string;
  readonly kind?: "primary" | "danger";
  readonly isBusy: boolean;
  /** What went wrong; null or undefined before that. */
  readonly error: unknown;
  /** What is wrong with what was typed, as a sentence. */
  readonly mistake?: string | undefined;
  /** How far the action is. */
  readonly note?: ReactNode;
  readonly closeLabel?: string;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}) {
  const { title, action, command, kind = "primary", isBusy, error, mistake, note } = props;
  const { closeLabel = "Cancel", onConfirm, onClose, children } = props;
  return (
    <Dialog title={title} onClose={onClose} closeLabel={closeLabel}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBusy) onConfirm();
        }}
      >
        {children}
        <CopyableCommand command={command} />
        {mistake !== undefined && <Trouble>{mistake}</Trouble>}
        {error !== null && error !== undefined && <ErrorNote error={error} />}
        {note}
        <div className="actions">
          <button type="submit" className={kind} disabled={isBusy}>
            {isBusy ? "Working…" : action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
