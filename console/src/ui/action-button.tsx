/** A button for what may not be open to everybody, or not now: it says why before anybody clicks it. */
import { Tooltip } from "radix-ui";
import type { ReactNode } from "react";

/**
 * A button. With a `reason` it does nothing, and shows the reason when the pointer or the focus is on it; screen
 * readers read it with the name. It keeps the focus then, which a disabled button would not.
 */
export function ActionButton(props: {
  readonly onClick: () => void;
  /** Why it does nothing now, as a sentence. */
  readonly reason?: string | undefined;
  /** "danger" for what cannot be undone. */
  readonly kind?: "primary" | "danger";
  readonly isBusy?: boolean;
  readonly children: ReactNode;
}) {
  const { onClick, reason, kind, isBusy = false, children } = props;
  if (reason === undefined) {
    return (
      <button type="button" className={kind} onClick={onClick} disabled={isBusy}>
        {isBusy ? "Working…" : children}
      </button>
    );
  }
  return (
    <Tooltip.Provider delayDuration={200}>
      <Tooltip.Root>
        <Tooltip.Trigger asChild>
          <button type="button" className={kind} aria-disabled="true" onClick={(event) => event.preventDefault()}>
            {children}
          </button>
        </Tooltip.Trigger>
        <Tooltip.Portal>
          <Tooltip.Content className="tooltip" sideOffset={4}>
            {reason}
          </Tooltip.Content>
        </Tooltip.Portal>
      </Tooltip.Root>
    </Tooltip.Provider>
  );
}
