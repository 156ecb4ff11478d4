/** Saves everything that a viewer may read about a machine in a file, as `bmaas machines bundle --json` prints it. */
import { HardwareService, ListHardwareReportsResponseSchema } from "@api/hardware_service_pb.js";
import { GetHealthResponseSchema, HealthService } from "@api/health_service_pb.js";
import { HistoryService, ListEventsResponseSchema } from "@api/history_service_pb.js";
import { InstallationService, ListInstallationsResponseSchema } from "@api/installation_service_pb.js";
import { IssueService, ListIssuesResponseSchema } from "@api/issue_service_pb.js";
import { ExplainMachineResponseSchema, GetMachineResponseSchema, MachineService } from "@api/machine_service_pb.js";
import { GetServerResponseSchema, ServerService } from "@api/server_service_pb.js";
import { create, type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { Button } from "../../ui/button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";

/** Maximum number of events, and of installations, that a bundle has; the newest ones. */
const maxEntries = 10_000;

/** A button that collects the answers of the API and saves them. */
export function Bundle({ machineId }: { readonly machineId: string }) {
  const transport = useTransport();
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const save = async () => {
    setIsBusy(true);
    setError(undefined);
    try {
      const parts = await collect(transport, machineId);
      saveFile(`bmaas-${machineId}.json`, "application/json", `${JSON.stringify(parts, undefined, 2)}\n`);
    } catch (trouble) {
      setError(trouble);
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <>
      <p className="quiet">
        Everything that a viewer may read about the machine and the server, without secrets and user data.
      </p>
      <div className="toolbar">
        <Button isInert={isBusy} onClick={() => void save()}>
          {isBusy ? "Collecting…" : "Save everything about it"}
        </Button>
      </div>
      {error !== undefined && <ErrorNote error={error} onRetry={() => void save()} />}
      <CopyableCommand command={`bmaas machines bundle ${machineId} --out bundle.tar.gz`} />
    </>
  );
}

/** Hands a text to the browser as a file to save. */
function saveFile(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Returns the messages by the names of the files that the command's archive has. */
async function collect(transport: Transport, machineId: string): Promise<Record<string, JsonValue>> {
  const machines = createClient(MachineService, transport);
  const [explanation, machine, hardware, installations, events, issues, health, server] = await Promise.all([
    machines.explainMachine({ machineId }),
    machines.getMachine({ machineId }),
    createClient(HardwareService, transport).listHardwareReports({ machineId }),
    listAll(
      (page) => createClient(InstallationService, transport).listInstallations({ machineId, ...page }),
      (answer) => answer.installations,
    ),
    listAll(
      (page) => createClient(HistoryService, transport).listEvents({ machineId, ...page }),
      (answer) => answer.events,
    ),
    listAll(
      (page) => createClient(IssueService, transport).listIssues({ filter: { machineIds: [machineId] }, ...page }),
      (answer) => answer.issues,
    ),
    createClient(HealthService, transport).getHealth({ machineId }),
    createClient(ServerService, transport).getServer({}),
  ]);
  return {
    "explanation.json": write(ExplainMachineResponseSchema, explanation),
    "machine.json": write(GetMachineResponseSchema, machine),
    "hardware.json": write(ListHardwareReportsResponseSchema, hardware),
    "installations.json": write(
      ListInstallationsResponseSchema,
      create(ListInstallationsResponseSchema, { installations }),
    ),
    "history.json": write(ListEventsResponseSchema, create(ListEventsResponseSchema, { events })),
    "issues.json": write(ListIssuesResponseSchema, create(ListIssuesResponseSchema, { issues })),
    "health.json": write(GetHealthResponseSchema, health),
    "server.json": write(GetServerResponseSchema, server),
  };
}

function write<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** Reads a list page by page. */
async function listAll<Answer extends { readonly nextPageToken: string }, Row>(
  ask: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<Answer>,
  pick: (answer: Answer) => readonly Row[],
): Promise<Row[]> {
  const rows: Row[] = [];
  let pageToken = "";
  do {
    const answer = await ask({ pageSize: 1_000, pageToken });
    rows.push(...pick(answer));
    pageToken = answer.nextPageToken;
  } while (pageToken !== "" && rows.length < maxEntries);
  return rows;
}
