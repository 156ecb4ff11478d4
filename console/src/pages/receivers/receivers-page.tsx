/** Receivers: where the server sends events by itself, and whether they accept them. */
import { type Receiver, ReceiverService } from "@api/receiver_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { Link } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable, type TableAbilities } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { Badge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";
import { ProbeReceiver } from "./receiver-dialogs.tsx";

/** How often the list is asked for again, in milliseconds: no change tells of an attempt. */
const refreshMs = 10_000;

/** The page at /receivers. */
export function ReceiversPage() {
  const { reason } = useMay(Role.ADMIN);
  const [probed, setProbed] = useState<string>();
  const query = useQuery(ReceiverService.method.listReceivers, {}, { refetchInterval: refreshMs });
  const columns = useMemo(() => makeColumns(reason, setProbed), [reason]);
  return (
    <>
      <h1>Receivers</h1>
      <p className="quiet">
        Endpoints that are sent events. <code>bmaas receivers create</code> adds one.
      </p>
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Receivers"
        columns={columns}
        rows={query.data?.receivers ?? none}
        getRowId={({ name }) => name}
        note={query.isPending ? "Loading…" : undefined}
        empty="There are no receivers."
      />
      <h2>In the terminal</h2>
      <CopyableCommand command="bmaas receivers list" />
      {probed !== undefined && <ProbeReceiver name={probed} onClose={() => setProbed(undefined)} />}
    </>
  );
}

const none: readonly Receiver[] = [];

const helper = createColumnHelper<TableAbilities, Receiver>();

function makeColumns(reason: string | undefined, onProbe: (name: string) => void) {
  return helper.columns([
    helper.accessor("name", {
      header: "Name",
      cell: ({ getValue }) => (
        <Link to="/receivers/$name" params={{ name: getValue() }}>
          {getValue()}
        </Link>
      ),
    }),
    helper.display({ id: "state", header: "State", cell: ({ row }) => <ReceiverState receiver={row.original} /> }),
    helper.accessor("waitingDeliveries", {
      header: "Waiting",
      cell: ({ getValue, row }) => (
        <>
          {formatCount(getValue())}
          {row.original.oldestWaitingTime !== undefined && (
            <>
              , oldest <Time at={row.original.oldestWaitingTime} as="age" />
            </>
          )}
        </>
      ),
    }),
    helper.accessor("lastSuccessTime", {
      header: "Last accepted",
      cell: ({ getValue }) => <Time at={getValue()} as="age" />,
    }),
    helper.display({
      id: "actions",
      header: "",
      cell: ({ row }) => (
        <ActionButton reason={reason} onClick={() => onProbe(row.original.name)}>
          Probe<span className="visually-hidden"> {row.original.name}</span>…
        </ActionButton>
      ),
    }),
    helper.accessor("origin", { header: "Address", cell: ({ getValue }) => <SafeText text={getValue()} limit={60} /> }),
    helper.accessor(({ events }) => events.join(", "), {
      id: "events",
      header: "Events",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={60} />,
    }),
    helper.accessor("lastError", {
      header: "Last error",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={90} />,
    }),
  ]);
}

function ReceiverState({ receiver: { failing, failures } }: { readonly receiver: Receiver }) {
  if (failing) return <Badge tone="bad">failing</Badge>;
  if (failures > 0n) return <Badge tone="warn">{`${formatCount(failures)} failed`}</Badge>;
  return <Badge tone="good">accepts</Badge>;
}
