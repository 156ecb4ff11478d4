/** Creates machines for tests, one fact at a time, and reads what the database stores of them. */
import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import type { Database } from "../../src/db/client.ts";
import { registerAgents } from "../../src/db/queries/agent-started.ts";
import { createMachines } from "../../src/db/queries/machine.ts";
import { requestInstallations } from "../../src/db/queries/os-installation-request.ts";
import type * as schema from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { type Observed, observe } from "./observer.ts";

/** A machine and the key of its agent. */
export interface TestMachine {
  readonly machineId: string;
  readonly key: AgentKey;
}

/** Creates a machine without tags and returns its id. */
export async function bareMachine(db: Database): Promise<string> {
  const machineId = randomUUID();
  await transact(db, (tx) => createMachines(tx, [machineId], "test"));
  return machineId;
}

/** Creates a machine whose agent has a new key. */
export async function machineWithAgent(db: Database): Promise<TestMachine> {
  const machineId = await bareMachine(db);
  return { machineId, key: await replaceAgentKey(db, machineId) };
}

/** Registers a new key for a machine's agent and returns it. */
export async function replaceAgentKey(db: Database, machineId: string): Promise<AgentKey> {
  const key = await generateAgentKey();
  await transact(db, (tx) => registerAgents(tx, [{ machineId, publicKey: key.publicKey }], "test"));
  return key;
}

/** Image that tests request. */
export const testImage = {
  url: "https://images.example/os.img",
  digest: `sha256:${"ab".repeat(32)}`,
  rootDevice: "sda",
};

/** Returns the stored form of a request to install the test image. */
export function encodeTestImage(generation: bigint): Uint8Array {
  return toBinary(
    OSInstallationRequestSchema,
    create(OSInstallationRequestSchema, { generation, type: { case: "image", value: testImage } }),
  );
}

/** Requests an installation of the test image and returns its generation. */
export async function requestInstallation(db: Database, machineId: string, generation?: bigint): Promise<bigint> {
  const request = { machineId, generation, encode: encodeTestImage };
  const generations = await transact(db, (tx) => requestInstallations(tx, [request], "test"));
  return generations.get(machineId) as bigint;
}

/** Reads everything that heartbeats may have stored for a machine. */
export async function readTags(database: Observed, machineId: string) {
  const sql = observe(database);
  const [heartbeat] = await sql<Row<"agentHeartbeat">[]>`
    select * from agent_heartbeat where machine_id = ${machineId}`;
  const [hardware] = await sql<Row<"hardwareReport">[]>`
    select * from hardware_report where machine_id = ${machineId}`;
  const [report] = await sql<Row<"osInstallationReport">[]>`
    select * from os_installation_report where machine_id = ${machineId}`;
  const history = await sql<Row<"machineHistory">[]>`
    select * from machine_history where machine_id = ${machineId} order by id`;
  return { heartbeat, hardware, report, history: [...history] };
}

/** A row of one of the tables. */
type Row<Table extends "agentHeartbeat" | "hardwareReport" | "osInstallationReport" | "machineHistory"> =
  (typeof schema)[Table]["$inferSelect"];
