/** Asks before something happens that wipes nothing, and shows the command that does the same. */
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { CopyableCommand } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { ErrorNote, Trouble } from "./error-note.tsx";
import { StayHere } from "./secret-once.tsx";

/**
 * Shows what the action means, as children, and does it on confirmation. What is typed is checked by `onConfirm`. The
 * action may end after the dialog was closed: it must not close another one then. `mutate(…, { onSuccess: onClose })`
 * does not, since it calls nobody who has left the page; `onSuccess` of `useMutation` is called all the same.
 */
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
  /** Whether the answer brings a secret that nobody can read again: then it is waited for. */
  readonly givesSecret?: boolean;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}) {
  const { title, action, command, kind = "primary", isBusy, error, mistake, note } = props;
  const { closeLabel = "Cancel", givesSecret = false, onConfirm, onClose, children } = props;
  const isWaited = givesSecret && isBusy;
  return (
    <Dialog
      title={title}
      onClose={onClose}
      closeLabel={isWaited ? "Close without the secret" : closeLabel}
      isSticky={isWaited}
    >
      {isWaited && <StayHere />}
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
        {isWaited && <p role="status">The secret comes with the server's answer, and is shown only then.</p>}
        <div className="actions">
          <Button type="submit" className={kind} isInert={isBusy}>
            {isBusy ? "Working…" : action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
