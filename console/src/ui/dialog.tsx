/**
 * A dialog above the page: the browser's own, which keeps the keyboard inside, makes the page inert and ends by Escape.
 * Radix's modal dialog writes a style element into the page, which the policy for content forbids.
 */
import { type ReactNode, useEffect, useId, useRef } from "react";

/**
 * Shows its children in a dialog for as long as it is mounted; then what had the focus before has it again.
 * `onClose` runs for the button to close, and for Escape unless `isSticky`.
 */
export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  readonly closeLabel?: string;
  readonly isWide?: boolean;
  /** Only the button closes it: what that does is more than Escape may do. */
  readonly isSticky?: boolean;
  readonly children: ReactNode;
}) {
  const { title, onClose, closeLabel = "Close", isWide = false, isSticky = false, children } = props;
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    dialog?.showModal();
    // A second Escape closes a dialog whatever it says to the first one.
    const reopen = () => dialog?.showModal();
    dialog?.addEventListener("close", reopen);
    return () => {
      dialog?.removeEventListener("close", reopen);
      dialog?.close();
      // The browser gives the focus back only from a dialog that is still in the page.
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      className={isWide ? "wide" : undefined}
      aria-labelledby={titleId}
      onCancel={(event) => {
        // A field for files says the same when somebody chooses none after all.
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        if (!isSticky) onClose();
      }}
    >
      <div className="frame">
        <div className="head">
          <h1 id={titleId}>{title}</h1>
          <button type="button" onClick={onClose}>
            {closeLabel}
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
