/** Agents without a machine that ask to be let in, in every way in which they can. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import {
  createConnectTransport as createConnectFetchTransport,
  createGrpcWebTransport as createGrpcWebFetchTransport,
} from "@connectrpc/connect-web";
import { EnrolmentService, type EnrolRequestSchema } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import type { machineEnrolment } from "../../src/db/schema/index.ts";
import { type Observed, observe } from "./observer.ts";
import type { TestServer } from "./server.ts";

/** Fields of an enrolment. */
export type EnrolInit = MessageInitShape<typeof EnrolRequestSchema>;

/** Full path of the method Enrol. */
export const enrolPath = "/bmaas.agent.v1.EnrolmentService/Enrol";

type Server = Pick<TestServer, "agentUrl" | "ca">;

/** The ways to enrol, by protocol, version of HTTP and proof. */
export const enrolmentWays: Readonly<Record<string, (server: Server, key: AgentKey) => Transport>> = {
  "gRPC, by certificate": (server, key) => createGrpcTransport(certified(server, key)),
  "gRPC-Web over HTTP/1.1, by certificate": (server, key) =>
    createGrpcWebTransport({ ...certified(server, key), httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2, by certificate": (server, key) =>
    createGrpcWebTransport({ ...certified(server, key), httpVersion: "2" }),
  "Connect JSON over HTTP/1.1, by certificate": (server, key) =>
    createConnectTransport({ ...certified(server, key), httpVersion: "1.1", useBinaryFormat: false }),
  "Connect binary over HTTP/2, by certificate": (server, key) =>
    createConnectTransport({ ...certified(server, key), httpVersion: "2", useBinaryFormat: true }),
  "Connect JSON, signed": (server, key) => createConnectFetchTransport({ ...signing(server, key) }),
  "Connect binary, signed": (server, key) =>
    createConnectFetchTransport({ ...signing(server, key), useBinaryFormat: true }),
  "gRPC-Web, signed": (server, key) => createGrpcWebFetchTransport(signing(server, key)),
};

function certified({ agentUrl, ca }: Server, key: AgentKey) {
  return { baseUrl: agentUrl, nodeOptions: { ca, ...createClientCertificate(key) } };
}

function signing({ agentUrl, ca }: Server, key: AgentKey) {
  const fetch = createSigningFetch({ machineId: undefined, key, fetch: createNodeFetch({ ca }) });
  return { baseUrl: agentUrl, fetch };
}

/** Returns the client of an agent without a machine. */
export function enrolmentClient(
  server: Server,
  key: AgentKey,
  way: keyof typeof enrolmentWays = "gRPC, by certificate",
): Client<typeof EnrolmentService> {
  const makeTransport = enrolmentWays[way] as (server: Server, key: AgentKey) => Transport;
  return createClient(EnrolmentService, makeTransport(server, key));
}

/** Returns a hardware report of a machine with this serial number. */
export function reportOf(
  serialNumber: string,
  node: MessageInitShape<typeof AgentHardwareReportSchema>["report"] = {},
): AgentHardwareReport {
  return create(AgentHardwareReportSchema, {
    report: { manufacturer: "Acme", product: "A1", serialNumber, ...node },
  });
}

/** An agent that has asked once to be let in. */
export interface Knocker {
  readonly key: AgentKey;
  readonly client: Client<typeof EnrolmentService>;
  /** Id of its enrolment. */
  readonly enrolmentId: string;
}

/** Makes an agent with a new key ask to be let in. */
export async function knock(server: Server, database: Observed, init: EnrolInit = {}): Promise<Knocker> {
  const key = await generateAgentKey();
  const client = enrolmentClient(server, key);
  await client.enrol(init);
  return { key, client, enrolmentId: (await findEnrolment(database, key))?.id as string };
}

/** Reads what is stored of a key's enrolment. */
export async function findEnrolment(database: Observed, { publicKey }: Pick<AgentKey, "publicKey">) {
  const [row] = await observe(database)<(typeof machineEnrolment)["$inferSelect"][]>`
    select *, to_jsonb(mac_addresses) as mac_addresses from machine_enrolment where public_key = ${Buffer.from(publicKey)}`;
  return row;
}

/** Returns the number of stored enrolments. */
export async function countEnrolments(database: Observed): Promise<number> {
  const [row] = await observe(database)<{ count: number }[]>`select count(*)::int as count from machine_enrolment`;
  return row?.count ?? 0;
}
