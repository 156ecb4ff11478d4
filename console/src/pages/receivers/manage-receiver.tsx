/** Creates and deletes receivers, and changes their secrets. */
import { type Receiver, ReceiverService } from "@api/receiver_service_pb.js";
import { useMutation } from "@connectrpc/connect-query";
import { useState } from "react";
import { useAskAgain } from "../../live/use-refresh.ts";
import { ConfirmAction } from "../../ui/confirm-action.tsx";
import { TextArea, TextField } from "../../ui/fields.tsx";
import { formatCount } from "../../ui/format.ts";
import { SecretOnce } from "../../ui/secret-once.tsx";
import { toCommand } from "../../ui/shell-words.ts";

/** Asks where to send what, creates the receiver, and shows its secret. */
export function CreateReceiver({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState("");
  const [caCertificates, setCaCertificates] = useState("");
  const askAgain = useAskAgain(ReceiverService.method.listReceivers);
  const create = useMutation(ReceiverService.method.createReceiver, { onSettled: () => void askAgain() });
  if (create.data !== undefined) {
    const { receiver, secret, unmatchedEvents } = create.data;
    return (
      <SecretOnce what={`the receiver ${receiver?.name}`} secret={secret} onClose={onClose}>
        {unmatchedEvents.length > 0 && (
          <p role="status">No event of this server matches {unmatchedEvents.join(", ")}.</p>
        )}
      </SecretOnce>
    );
  }
  const types = events.split(/[\s,]+/).filter(Boolean);
  return (
    <ConfirmAction
      title="Create a receiver"
      action="Create the receiver"
      command={toCommand(
        ...["bmaas", "receivers", "create", name.trim() || "NAME"],
        ...["--url", url.trim() || "URL", "--events", types.join(",") || "TYPES"],
        ...(caCertificates.trim() === "" ? [] : ["--ca", "FILE"]),
      )}
      isBusy={create.isPending}
      givesSecret
      error={create.error}
      onClose={onClose}
      onConfirm={() => create.mutate({ name: name.trim(), url: url.trim(), events: types, caCertificates })}
    >
      <TextField label="Name" value={name} isRequired placeholder="oncall" onChange={setName} />
      <TextField
        label="URL"
        hint="An https URL. Private addresses must stand in the server's setting BMAAS_RECEIVER_ALLOW."
        value={url}
        isRequired
        placeholder="https://hooks.example/bmaas"
        onChange={setUrl}
      />
      <TextField
        label="Types of events"
        hint="Separated by commas; * stands for any letters, and alone for all."
        value={events}
        isRequired
        placeholder="installation.*,machine.*"
        onChange={setEvents}
      />
      <TextArea
        label="CA certificates (optional)"
        hint="In PEM, if the receiver's certificate comes from a CA that the server does not know."
        rows={3}
        value={caCertificates}
        onChange={setCaCertificates}
      />
    </ConfirmAction>
  );
}

interface OfReceiver {
  readonly receiver: Receiver;
  readonly onClose: () => void;
}

/** Asks, and deletes the receiver with everything that waits to be sent to it. */
export function DeleteReceiver({ receiver: { name, waitingDeliveries }, onClose }: OfReceiver) {
  const askAgain = useAskAgain(ReceiverService.method.listReceivers);
  const remove = useMutation(ReceiverService.method.deleteReceiver, { onSettled: () => void askAgain() });
  return (
    <ConfirmAction
      title={`Delete the receiver ${name}?`}
      action="Delete the receiver"
      kind="danger"
      command={toCommand("bmaas", "receivers", "delete", name)}
      isBusy={remove.isPending}
      error={remove.error}
      onClose={onClose}
      onConfirm={() => remove.mutate({ name }, { onSuccess: onClose })}
    >
      <p>
        {waitingDeliveries === 0n
          ? "It is sent no events any more."
          : `It is sent no events any more, not even the ${formatCount(waitingDeliveries)} that wait.`}
      </p>
    </ConfirmAction>
  );
}

/** Gives a receiver one more secret, and shows it. The others go on signing until somebody retires them. */
export function AddReceiverSecret({ receiver: { name }, onClose }: OfReceiver) {
  const askAgain = useAskAgain(ReceiverService.method.listReceivers);
  const add = useMutation(ReceiverService.method.addReceiverSecret, { onSettled: () => void askAgain() });
  if (add.data !== undefined) {
    return (
      <SecretOnce what={`the receiver ${name}`} secret={add.data.secret} onClose={onClose}>
        <p>Messages are signed with all secrets. Retire the old ones once the receiver knows this one.</p>
      </SecretOnce>
    );
  }
  return (
    <ConfirmAction
      title={`Add a secret to ${name}`}
      action="Create the secret"
      command={toCommand("bmaas", "receivers", "rotate", name)}
      isBusy={add.isPending}
      givesSecret
      error={add.error}
      onClose={onClose}
      onConfirm={() => add.mutate({ name })}
    >
      <p>Messages are signed with the new secret and with the old ones, until these are retired.</p>
    </ConfirmAction>
  );
}

/** Asks, and deletes all secrets of a receiver but the newest. */
export function RetireSecrets({ receiver: { name, secretTimes }, onClose }: OfReceiver) {
  const askAgain = useAskAgain(ReceiverService.method.listReceivers);
  const retire = useMutation(ReceiverService.method.retireReceiverSecrets, { onSettled: () => void askAgain() });
  return (
    <ConfirmAction
      title={`Retire the old secrets of ${name}?`}
      action="Retire them"
      kind="danger"
      command={toCommand("bmaas", "receivers", "rotate", name, "--retire")}
      isBusy={retire.isPending}
      error={retire.error}
      onClose={onClose}
      onConfirm={() => retire.mutate({ name }, { onSuccess: onClose })}
    >
      <p>
        It has {formatCount(secretTimes.length)} secrets. A receiver that does not know the newest one yet refuses every
        message from then on.
      </p>
    </ConfirmAction>
  );
}
