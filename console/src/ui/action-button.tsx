/** A button for what may not be open to everybody, or not now: it says why before anybody clicks it. */
import { Tooltip } from "radix-ui";
import { type ReactNode, useState } from "react";
import { Button } from "./button.tsx";

/**
 * A button. With a `reason` it does nothing, and shows the reason when the pointer or the focus is on it; screen
 * readers read it with the name.
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
  const [isPointedAt, setIsPointedAt] = useState(false);
  const hasReason = reason !== undefined;
  // The button is the same element with a reason as without, so that it keeps the focus when one comes or goes.
  return (
    <Tooltip.Provider delayDuration={200}>
      <Tooltip.Root open={isPointedAt && hasReason} onOpenChange={setIsPointedAt}>
        <Tooltip.Trigger asChild>
          <Button className={kind} isInert={isBusy || hasReason} onClick={onClick}>
            {isBusy ? "Working…" : children}
          </Button>
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
