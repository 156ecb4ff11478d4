/** What was sent to a receiver, and what waits to be sent, newest first. */
import { type Delivery, ReceiverService } from "@api/receiver_service_pb.js";
import { Role } from "@api/role_pb.js";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { formatCount } from "../../ui/format.ts";
import { MachineLink } from "../../ui/machine-link.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";
import { deliveryRules, deliveryStates, toDeliveryStates } from "./deliveries-filter.ts";
import { DeliveryBadge } from "./delivery-state.tsx";
import { DeliveryDialog, ProbeReceiver, ResendDeliveries } from "./receiver-dialogs.tsx";

/** How often the list is asked for again, in milliseconds: no change tells of an attempt. */
const refreshMs = 10_000;

/** What somebody has asked for: a probe, a delivery in full, or to send again; no ids mean all that were given up. */
type Asked = { readonly probe: true } | { readonly delivery: Delivery } | { readonly resend: readonly string[] };

/** The page at /receivers/$name. */
export function DeliveriesPage() {
  const { name } = useParams({ from: "/receivers/$name" });
  const search = useConditions(useSearch({ from: "/receivers/$name" }), deliveryRules);
  const navigate = useNavigate({ from: "/receivers/$name" });
  const { reason } = useMay(Role.ADMIN);
  const [asked, setAsked] = useState<Asked>();
  const request = useMemo(() => ({ name, states: toDeliveryStates(search) }), [name, search]);
  const pages = usePages({ method: ReceiverService.method.listDeliveries, request, pick, refreshMs });
  const columns = useMemo(() => makeColumns((delivery) => setAsked({ delivery })), []);
  const close = () => setAsked(undefined);
  const resend = (deliveryIds: readonly string[]) => setAsked({ resend: deliveryIds });

  return (
    <>
      <p>
        <Link to="/receivers">All receivers</Link>
      </p>
      <h1>Deliveries to {name}</h1>
      <div className="toolbar">
        <ConditionFilter
          rules={deliveryRules}
          conditions={search.filter}
          placeholder="Filter: state=waiting, state=given_up"
          onChange={(next) => void navigate({ search: next })}
        />
        <ActionButton reason={reason} onClick={() => setAsked({ probe: true })}>
          Probe…
        </ActionButton>
        <ActionButton reason={reason} onClick={() => resend([])}>
          Resend what was given up…
        </ActionButton>
      </div>
      <PagedTable
        caption="Deliveries"
        columns={columns}
        pages={pages}
        getRowId={({ id }) => id}
        onOpen={(delivery) => setAsked({ delivery })}
        empty="There are no deliveries. Those that have ended are kept for a week."
      />
      <h2>In the terminal</h2>
      <CopyableCommand
        command={toCommand(
          ...["bmaas", "receivers", "deliveries", name],
          ...(request.states.length > 0 ? ["--state", ...request.states.map(deliveryStates.nameOf)] : []),
        )}
      />
      {asked !== undefined && "probe" in asked && <ProbeReceiver name={name} onClose={close} />}
      {asked !== undefined && "delivery" in asked && (
        <DeliveryDialog name={name} opened={asked.delivery} reason={reason} onResend={resend} onClose={close} />
      )}
      {asked !== undefined && "resend" in asked && (
        <ResendDeliveries name={name} deliveryIds={asked.resend} onClose={close} />
      )}
    </>
  );
}

const pick = (answer: { readonly deliveries: readonly Delivery[] }) => answer.deliveries;

const helper = createColumnHelper<TableAbilities, Delivery>();

function makeColumns(onOpen: (delivery: Delivery) => void) {
  return helper.columns([
    helper.accessor("eventType", {
      header: "Event",
      cell: ({ getValue, row }) => (
        <button type="button" className="link" title={row.original.id} onClick={() => onOpen(row.original)}>
          {getValue()}
        </button>
      ),
    }),
    helper.accessor("eventTime", { header: "Happened", cell: ({ getValue }) => <Time at={getValue()} /> }),
    helper.display({ id: "state", header: "State", cell: ({ row }) => <DeliveryBadge delivery={row.original} /> }),
    helper.accessor("attempts", { header: "Attempts", cell: ({ getValue }) => formatCount(getValue()) }),
    helper.accessor(({ lastAttempts: [last] }) => describeAnswer(last), {
      id: "answer",
      header: "Last answer",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={60} />,
    }),
    helper.accessor("machineId", {
      header: "Machine",
      cell: ({ getValue }) =>
        getValue() === "" ? <span className="quiet">the server</span> : <MachineLink machineId={getValue()} />,
    }),
  ]);
}

function describeAnswer(attempt: Delivery["lastAttempts"][number] | undefined): string {
  if (attempt === undefined) return "";
  return [attempt.error || `answered ${attempt.status}`, attempt.answer].filter(Boolean).join(": ");
}
