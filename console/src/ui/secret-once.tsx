/** Shows a secret that nobody can read again. It is in memory only, and gone when the dialog closes. */
import { useBlocker } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { CopyButton } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";

/** Shows the secret with a button that copies it. `what` names it, such as "the token ci". */
export function SecretOnce(props: {
  readonly what: string;
  readonly secret: string;
  readonly onClose: () => void;
  readonly children?: ReactNode;
}) {
  const { what, secret, onClose, children } = props;
  return (
    <Dialog title="Copy the secret now" onClose={onClose} closeLabel="I have it" isSticky>
      <StayHere />
      <p>
        This is the secret of {what}. The server does not keep it: it <b>cannot be shown again</b>.
      </p>
      <div className="copyable">
        <code>{secret}</code>
        <CopyButton text={secret} label="Copy the secret" />
      </div>
      {children}
    </Dialog>
  );
}

/**
 * Keeps the browser on this page for as long as it is mounted: going back would lose a secret that is shown or on its
 * way. Of a reload, or of closing the tab, the browser asks.
 */
export function StayHere() {
  useBlocker({ shouldBlockFn: alwaysBlock });
  return null;
}

const alwaysBlock = () => true;
