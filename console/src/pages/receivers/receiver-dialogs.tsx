/** Probes a receiver, shows a delivery in full, and sends deliveries again. */
import { type Delivery, type DeliveryAttempt, ReceiverService } from "@api/receiver_service_pb.js";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { useMutation, useQuery } from "@connectrpc/connect-query";
import { useAskAgain } from "../../live/use-refresh.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { ConfirmAction } from "../../ui/confirm-action.tsx";
import { CopyButton } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount, withUnit } from "../../ui/format.ts";
import { Badge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";
import { DeliveryBadge } from "./delivery-state.tsx";

/** How often a delivery that is open is asked for again, in milliseconds: no change tells of an attempt. */
const refreshMs = 5_000;

/** Asks, sends a test event, and shows how the receiver answers. */
export function ProbeReceiver({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const probe = useMutation(ReceiverService.method.probeReceiver);
  const attempt = probe.data?.attempt;
  return (
    <ConfirmAction
      title={`Probe ${name}`}
      action={attempt === undefined ? "Send a test event" : "Send another one"}
      command={toCommand("bmaas", "receivers", "probe", name)}
      isBusy={probe.isPending}
      error={probe.error}
      onClose={onClose}
      onConfirm={() => probe.mutate({ name })}
    >
      <p>The server sends an event of the type receiver.probe, once, and does not record it.</p>
      {attempt !== undefined && (
        <p role="status">
          <Attempt attempt={attempt} />
        </p>
      )}
    </ConfirmAction>
  );
}

/** Asks, and sends deliveries again: those with the ids, or all that were given up if there are none. */
export function ResendDeliveries(props: {
  readonly name: string;
  readonly deliveryIds: readonly string[];
  readonly onClose: () => void;
}) {
  const { name, deliveryIds, onClose } = props;
  const askAgain = useAskAgain(ReceiverService.method.listDeliveries);
  const resend = useMutation(ReceiverService.method.resendDeliveries, { onSettled: () => void askAgain() });
  const command = toCommand("bmaas", "receivers", "resend", name, ...deliveryIds);
  if (resend.data !== undefined) {
    return (
      <Dialog title={`Resend to ${name}`} onClose={onClose}>
        <p role="status">
          {resend.data.deliveries === 1
            ? "1 event is sent again."
            : `${formatCount(resend.data.deliveries)} events are sent again.`}
        </p>
      </Dialog>
    );
  }
  return (
    <ConfirmAction
      title={`Resend to ${name}`}
      action="Send again"
      command={command}
      isBusy={resend.isPending}
      error={resend.error}
      onClose={onClose}
      onConfirm={() => resend.mutate({ name, deliveryIds: [...deliveryIds] })}
    >
      <p>
        {deliveryIds.length === 0
          ? "The oldest 1,000 events that were given up are sent again, under their ids, and retried for a day."
          : "The event is sent again, under its id, and retried for a day."}
      </p>
    </ConfirmAction>
  );
}

/** Shows a delivery with its last attempts and the message itself. It stays current while it is open. */
export function DeliveryDialog(props: {
  /** Name of the receiver. */
  readonly name: string;
  /** The delivery as it was when somebody opened it. */
  readonly opened: Delivery;
  /** Why it cannot be sent again; undefined otherwise. */
  readonly reason: string | undefined;
  readonly onResend: (deliveryIds: readonly string[]) => void;
  readonly onClose: () => void;
}) {
  const { name, opened, reason, onResend, onClose } = props;
  const request = { name, deliveryIds: [opened.id] };
  const query = useQuery(ReceiverService.method.listDeliveries, request, { refetchInterval: refreshMs, staleTime: 0 });
  const delivery = query.data?.deliveries[0] ?? opened;
  const isKept = query.data === undefined || query.data.deliveries.length > 0;
  return (
    <Dialog title={delivery.eventType} onClose={onClose} isWide>
      <QueryError query={query} />
      <p className="mono safe-text">{delivery.id}</p>
      {isKept ? (
        <p role="status">
          <DeliveryBadge delivery={delivery} />
        </p>
      ) : (
        <p role="status">The server keeps this delivery no longer: what is shown is what it was.</p>
      )}
      <h2>Last attempts</h2>
      {delivery.lastAttempts.length === 0 && <p className="quiet">None yet.</p>}
      <ul className="plain">
        {delivery.lastAttempts.map((attempt) => (
          <li key={`${attempt.attemptTime?.seconds}.${attempt.attemptTime?.nanos}`}>
            <Time at={attempt.attemptTime} /> <Attempt attempt={attempt} />
          </li>
        ))}
      </ul>
      <h2>Message</h2>
      <p className="mono">
        <SafeText text={delivery.payload} limit={4_000} />
      </p>
      <div className="actions">
        <CopyButton text={delivery.payload} label="Copy the message" />
        <ActionButton
          reason={reason ?? (isKept ? undefined : "It is no longer kept.")}
          onClick={() => onResend([delivery.id])}
        >
          Send again…
        </ActionButton>
      </div>
    </Dialog>
  );
}

function Attempt({ attempt: { status, error, answer, duration } }: { readonly attempt: DeliveryAttempt }) {
  return (
    <>
      {error === "" ? <Badge tone="good">{`answered ${status}`}</Badge> : <Badge tone="bad">failed</Badge>} after{" "}
      {withUnit(formatCount(duration === undefined ? 0 : durationMs(duration)), "ms")}{" "}
      <SafeText text={[error, answer].filter(Boolean).join(": ")} />
    </>
  );
}
