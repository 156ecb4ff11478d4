/** The dialog of each action. */
import type { ActionName } from "./action-rows.ts";
import { CancelDialog, DeleteDialog } from "./end-dialogs.tsx";
import { ExpectedDialog } from "./expected-dialog.tsx";
import { AlertDialog } from "./health-dialogs.tsx";
import { HoldDialog, ReleaseDialog } from "./hold-dialog.tsx";
import { KeyDialog, RevokeDialog } from "./key-dialog.tsx";
import { LabelDialog } from "./label-dialog.tsx";
import { ProvidedDialog } from "./provided-dialog.tsx";
import { RequestDialog } from "./request-dialog.tsx";
import { RetryDialog } from "./retry-dialog.tsx";
import type { Targets } from "./targets.ts";

/** Shows the dialog of an action. The server refuses what does not fit a machine that has changed since. */
export function DialogOf(props: {
  readonly name: ActionName;
  readonly targets: Targets;
  readonly onClose: () => void;
}) {
  const { name, targets, onClose } = props;
  const own = { targets, onClose };
  switch (name) {
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
    case "register":
      return <KeyDialog {...own} isReplacement={false} />;
    case "replaceKey":
      return <KeyDialog {...own} isReplacement />;
    case "revoke":
      return <RevokeDialog {...own} />;
    case "expect":
      return <ExpectedDialog {...own} />;
    case "alert":
      return <AlertDialog {...own} />;
    case "provide":
      return <ProvidedDialog {...own} />;
    case "delete":
      return <DeleteDialog {...own} />;
  }
}
