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
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { Badge } from "../../ui/machine-state.tsx";
import { Menu } from "../../ui/menu.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";
import { AddReceiverSecret, CreateReceiver, DeleteReceiver, RetireSecrets } from "./manage-receiver.tsx";
import { ProbeReceiver } from "./receiver-dialogs.tsx";

/** How often the list is asked for again, in milliseconds: no change tells of an attempt. */
const refreshMs = 10_000;

/** The page at /receivers. */
export function ReceiversPage() {
  const { reason } = useMay(Role.ADMIN);
  const [asked, setAsked] = useState<Asked>();
  const query = useQuery(ReceiverService.method.listReceivers, {}, { refetchInterval: refreshMs });
  const receivers = query.data?.receivers ?? none;
  const columns = useMemo(() => makeColumns(reason, setAsked), [reason]);
  return (
    <>
      <h1>Receivers</h1>
      <p className="quiet">Endpoints that are sent events.</p>
      <div className="toolbar">
        <ActionButton kind="primary" reason={reason} onClick={() => setAsked({ what: "create" })}>
          Create a receiver…
        </ActionButton>
      </div>
      <QueryError query={query} />
      <DataTable
        caption="Receivers"
        columns={columns}
        rows={receivers}
        getRowId={({ name }) => name}
        note={query.isPending ? "Loading…" : undefined}
        empty="There are no receivers."
      />
      <h2>In the terminal</h2>
      <CopyableCommand command="bmaas receivers list" />
      {asked !== undefined && <AskedDialog asked={asked} receivers={receivers} onClose={() => setAsked(undefined)} />}
    </>
  );
}

const none: readonly Receiver[] = [];

/** What somebody has asked for. */
type Asked =
  | { readonly what: "create" }
  | { readonly what: "probe" | "add secret" | "retire secrets" | "delete"; readonly receiver: Receiver };

/** Shows the dialog, which says of the receiver what the list knows of it by now. */
function AskedDialog(props: {
  readonly asked: Asked;
  readonly receivers: readonly Receiver[];
  readonly onClose: () => void;
}) {
  const { asked, receivers, onClose } = props;
  if (asked.what === "create") return <CreateReceiver onClose={onClose} />;
  const receiver = receivers.find(({ name }) => name === asked.receiver.name) ?? asked.receiver;
  switch (asked.what) {
    case "probe":
      return <ProbeReceiver name={receiver.name} onClose={onClose} />;
    case "add secret":
      return <AddReceiverSecret receiver={receiver} onClose={onClose} />;
    case "retire secrets":
      return <RetireSecrets receiver={receiver} onClose={onClose} />;
    case "delete":
      return <DeleteReceiver receiver={receiver} onClose={onClose} />;
  }
}

const helper = createColumnHelper<TableAbilities, Receiver>();

function makeColumns(reason: string | undefined, onAsk: (asked: Asked) => void) {
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
    helper.accessor(({ secretTimes }) => secretTimes.length, {
      id: "secrets",
      header: "Secrets",
      cell: ({ getValue }) => formatCount(getValue()),
    }),
    helper.accessor("lastSuccessTime", {
      header: "Last accepted",
      cell: ({ getValue }) => <Time at={getValue()} as="age" />,
    }),
    helper.display({
      id: "actions",
      header: "",
      cell: ({ row }) => (
        <Menu
          label={
            <>
              Actions<span className="visually-hidden"> on {row.original.name}</span>
            </>
          }
          items={listActions(row.original).map(([name, what, obstacle]) => ({
            name,
            reason: reason ?? obstacle,
            onSelect: () => onAsk({ what, receiver: row.original }),
          }))}
        />
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

type ReceiverAction = Exclude<Asked["what"], "create">;

/** Returns what can be done with a receiver, and why it cannot be done now. */
function listActions({ secretTimes }: Receiver): readonly (readonly [name: string, ReceiverAction, string?])[] {
  return [
    ["Probe…", "probe"],
    ["Add a secret…", "add secret"],
    secretTimes.length > 1
      ? ["Retire the old secrets…", "retire secrets"]
      : ["Retire the old secrets…", "retire secrets", "It has one secret only."],
    ["Delete…", "delete"],
  ];
}

function ReceiverState({ receiver: { failing, failures, lastSuccessTime } }: { readonly receiver: Receiver }) {
  if (failing) return <Badge tone="bad">failing</Badge>;
  if (failures > 0n) return <Badge tone="warn">{`${formatCount(failures)} failed`}</Badge>;
  if (lastSuccessTime === undefined) return <Badge tone="calm">nothing sent yet</Badge>;
  return <Badge tone="good">accepts</Badge>;
}
