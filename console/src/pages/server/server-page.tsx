/** The server: whether it can serve, what runs, and with which settings. Secrets are not among them. */
import { ServerService, type ServerSetting, SettingSource } from "@api/server_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { useQuery as useAnyQuery } from "@tanstack/react-query";
import { createColumnHelper } from "@tanstack/react-table";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable, type TableAbilities } from "../../ui/data-table.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { Badge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";

/** How often readiness is asked for, in milliseconds. */
const refreshMs = 10_000;

/** The page at /server. */
export function ServerPage() {
  const query = useQuery(ServerService.method.getServer, {});
  const server = query.data;
  const workers = server?.settings.find(({ variable }) => variable === "BMAAS_WORKERS")?.value;
  return (
    <>
      <h1>Server</h1>
      <QueryError query={query} />
      <dl>
        <dt>State</dt>
        <dd>
          <Readiness />
        </dd>
        {server !== undefined && (
          <>
            <dt>Version</dt>
            <dd>{server.version}</dd>
            <dt>Node.js</dt>
            <dd>
              {server.nodeVersion} on {server.platform}
            </dd>
            <dt>PostgreSQL</dt>
            <dd>{server.databaseVersion}</dd>
            <dt>Workers</dt>
            <dd>{workers === "1" ? "1 process" : `${workers} processes`}</dd>
          </>
        )}
      </dl>
      <h2>Settings</h2>
      <DataTable
        caption="Settings"
        columns={columns}
        rows={server?.settings ?? noSettings}
        getRowId={({ variable }) => variable}
        note={query.isPending ? "Loading…" : undefined}
      />
      <h2>In the terminal</h2>
      <p className="quiet">No command of its own shows this; the call does.</p>
      <CopyableCommand command={call} />
    </>
  );
}

const call = [
  `curl -d '{}' -H 'Content-Type: application/json' -H "Authorization: Bearer $BMAAS_ADMIN_TOKEN"`,
  toCommand(`${window.location.origin}/${ServerService.typeName}/GetServer`),
].join(" ");

const noSettings: readonly ServerSetting[] = [];

const sources: Readonly<Record<SettingSource, string>> = {
  [SettingSource.UNSPECIFIED]: "",
  [SettingSource.UNSET]: "not set",
  [SettingSource.DEFAULT]: "default",
  [SettingSource.ENVIRONMENT]: "environment",
  [SettingSource.FLAG]: "command line",
};

const helper = createColumnHelper<TableAbilities, ServerSetting>();

const columns = helper.columns([
  helper.accessor("variable", { header: "Setting", cell: ({ getValue }) => <code>{getValue()}</code> }),
  helper.accessor("value", {
    header: "Value",
    cell: ({ getValue, row }) =>
      row.original.secret ? <span className="quiet">secret</span> : <SafeText text={getValue()} limit={120} />,
  }),
  helper.accessor("source", { header: "From", cell: ({ getValue }) => sources[getValue()] }),
]);

/** What /readyz answers. */
interface Answer {
  readonly status: string;
  readonly reason?: string;
}

function Readiness() {
  const { data, isError } = useAnyQuery({
    queryKey: ["readyz"],
    queryFn: async (): Promise<Answer> => (await (await fetch("/readyz", { cache: "no-store" })).json()) as Answer,
    refetchInterval: refreshMs,
  });
  if (isError) return <Badge tone="bad">does not answer</Badge>;
  if (data === undefined) return <span className="quiet">…</span>;
  if (data.reason === undefined) return <Badge tone="good">ready</Badge>;
  return (
    <>
      <Badge tone="bad">not ready</Badge> <SafeText text={data.reason} />
    </>
  );
}
