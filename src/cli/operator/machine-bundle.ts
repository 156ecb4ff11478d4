/**
 * Collects everything that a viewer may read about a machine, for a bug report or a colleague. It calls only
 * methods that viewers may call, so a viewer's bundle is complete, and no bundle holds a secret.
 */
import { stripVTControlCharacters } from "node:util";
import { create, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { HardwareService, ListHardwareReportsResponseSchema } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { GetHealthResponseSchema, HealthService } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { HistoryService, ListEventsResponseSchema } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import {
  InstallationService,
  ListInstallationsResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { IssueService, ListIssuesResponseSchema } from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import {
  ExplainMachineResponseSchema,
  GetMachineResponseSchema,
  MachineService,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { GetServerResponseSchema, ServerService } from "../../../gen/bmaas/admin/v1/server_service_pb.js";
import { printableJson } from "../../base/printable.ts";
import { formatInstant } from "../../base/time-text.ts";
import { readVersion } from "../../base/version.ts";
import { describeExplanation } from "../machines/explain.ts";
import type { Operator } from "./admin-client.ts";
import { listPages } from "./list-pages.ts";
import { messageToJson } from "./output.ts";

/** One file of a bundle. */
export interface BundlePart {
  readonly name: string;
  /** What it holds, as the end of a line in the table of contents. */
  readonly contents: string;
  readonly text: string;
  /** The message that `text` shows; absent for text for people. */
  readonly json?: JsonValue;
}

/** Maximum number of events, and of installations, that a bundle has; the newest ones. */
const maxEntries = 10_000;

/** Collects the parts. Throws ConnectError, such as `not_found` for a machine that does not exist. */
export async function collectBundle(operator: Operator, machineId: string): Promise<BundlePart[]> {
  const machines = operator.client(MachineService);
  const explanation = await machines.explainMachine({ machineId });
  const [machine, hardware, installations, events, issues, health, server] = await Promise.all([
    machines.getMachine({ machineId }),
    operator.client(HardwareService).listHardwareReports({ machineId }),
    listPages(
      (page) => operator.client(InstallationService).listInstallations({ machineId, ...page }),
      (answer) => answer.installations,
      maxEntries,
    ),
    listPages(
      (page) => operator.client(HistoryService).listEvents({ machineId, ...page }),
      (answer) => answer.events,
      maxEntries,
    ),
    unlessUnknown(
      listPages(
        (page) => operator.client(IssueService).listIssues({ filter: { machineIds: [machineId] }, ...page }),
        (answer) => answer.issues,
        maxEntries,
      ),
    ),
    unlessUnknown(operator.client(HealthService).getHealth({ machineId })),
    unlessUnknown(operator.client(ServerService).getServer({})),
  ]);
  const text = `${stripVTControlCharacters(describeExplanation(explanation))}\n`;
  return [
    { name: "explanation.txt", contents: "why the machine is in its state, and what to do", text },
    toPart("explanation", "the same as a message", ExplainMachineResponseSchema, explanation),
    toPart("machine", "the machine with its labels and its hold", GetMachineResponseSchema, machine),
    toPart("hardware", "its last ten hardware reports", ListHardwareReportsResponseSchema, hardware),
    toPart(
      "installations",
      count(installations, "installations", "newest generation first"),
      ListInstallationsResponseSchema,
      create(ListInstallationsResponseSchema, { installations }),
    ),
    toPart(
      "history",
      count(events, "events", "newest first"),
      ListEventsResponseSchema,
      create(ListEventsResponseSchema, { events }),
    ),
    ...(issues === undefined
      ? []
      : [
          toPart(
            "issues",
            "what is wrong with it now",
            ListIssuesResponseSchema,
            create(ListIssuesResponseSchema, { issues }),
          ),
        ]),
    ...(health === undefined
      ? []
      : [toPart("health", "its health alerts that count now", GetHealthResponseSchema, health)]),
    ...(server === undefined
      ? []
      : [toPart("server", "versions and settings of the server, without secrets", GetServerResponseSchema, server)]),
  ];
}

/** Returns the table of contents of a bundle. */
export function writeContents(machineId: string, parts: readonly BundlePart[], madeAt: Date): string {
  const lines = [
    `Machine ${machineId}, as a bmaas server showed it at ${formatInstant(madeAt)}`,
    `to bmaas ${readVersion()} with Node ${process.version} on ${process.platform}-${process.arch}.`,
    "",
    ...parts.map(({ name, contents }) => `${name.padEnd(20)}${contents}`),
    "",
    "The JSON files are messages of bmaas.admin.v1. User data of installations, node parameters, and the",
    "credentials and the query of an image's URL are left out, as they are for everybody who only reads.",
  ];
  return `${lines.join("\n")}\n`;
}

/** Resolves to undefined if the server is too old to know the method. */
async function unlessUnknown<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.Unimplemented) return undefined;
    throw error;
  }
}

function toPart<Desc extends DescMessage>(
  name: string,
  contents: string,
  schema: Desc,
  message: MessageShape<Desc>,
): BundlePart {
  const json = messageToJson(schema, message);
  return { name: `${name}.json`, contents, text: `${printableJson(JSON.stringify(json, undefined, 2))}\n`, json };
}

function count(entries: readonly unknown[], what: string, order: string): string {
  const isCut = entries.length === maxEntries;
  return `${entries.length} ${what}, ${order}${isCut ? "; there may be older ones" : ""}`;
}
