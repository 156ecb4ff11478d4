/** What the servers in Go do that the benchmark compares with; skipped where they cannot be built. */
import { randomUUID } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, inject, type TestContext, test } from "vitest";
import { startGo } from "../../bench/end-to-end/subjects.ts";
import { type BuiltPeers, buildPeers } from "../../bench/peers/build.ts";
import { type AgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { grpcAgent, type TestAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation } from "../support/machine.ts";

/** A build compiles gRPC and pgx when nobody has done so on this machine. */
const buildTimeoutMs = 600_000;

let built: BuiltPeers;
let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(inject("testFolder"), "peers-"));
  [built, database] = await Promise.all([buildPeers(folder), createTestDatabase()]);
}, buildTimeoutMs);
afterAll(() => database.close());

/** Starts the server with a store. The returned function opens a connection of an agent with a key, or with none. */
async function start(
  { skip }: TestContext,
  resources: AsyncDisposableStack,
  store: Parameters<typeof startGo>[4],
): Promise<(key?: AgentKey) => TestAgent> {
  if (built.missing !== undefined) skip(built.missing);
  const { url } = await startGo({ folder }, database, resources, built.program ?? "", store);
  const { ca } = await ensureDevelopmentTls(folder, ["127.0.0.1"]);
  return (key) => resources.use(grpcAgent({ agentUrl: url, ca }, key));
}

/** Returns when the machine's last heartbeat counted, or undefined if none did. */
async function readHeartbeatAt(machineId: string): Promise<Date | undefined> {
  return (await readTags(database, machineId)).heartbeat?.heartbeatAt;
}

describe.each(["three-transactions", "one-statement"] as const)("Go, %s", (store) => {
  test("a heartbeat of the machine's own key counts each time, and no other one does", async (context) => {
    await using resources = new AsyncDisposableStack();
    const open = await start(context, resources, store);
    const { machineId, key } = await machineWithAgent(database.db);
    const refused = { code: Code.Unauthenticated, rawMessage: "machine id or public key unknown" };
    await expect(open(await generateAgentKey()).heartbeat({ machineId })).rejects.toMatchObject(refused);
    const agent = open(key);
    await expect(agent.heartbeat({ machineId: randomUUID() })).rejects.toMatchObject(refused);
    expect(await readHeartbeatAt(machineId)).toBeUndefined();
    const answer = await agent.heartbeat({ machineId });
    expect([answer.nextHeartbeatAfter?.seconds, answer.installationRequest]).toEqual([30n, undefined]);
    const first = await readHeartbeatAt(machineId);
    expect(first).toBeDefined();
    const hourAgo = sql`update agent_heartbeat set heartbeat_at = heartbeat_at - interval '1 hour'`;
    await database.db.execute(sql`${hourAgo} where machine_id = ${machineId}`);
    await agent.heartbeat({ machineId });
    expect((await readHeartbeatAt(machineId))?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? Number.NaN);
  });

  test("a pending installation is in the answer", async (context) => {
    await using resources = new AsyncDisposableStack();
    const open = await start(context, resources, store);
    const { machineId, key } = await machineWithAgent(database.db);
    const generation = await requestInstallation(database.db, machineId);
    const { installationRequest } = await open(key).heartbeat({ machineId });
    expect(installationRequest?.generation).toBe(generation);
  });

  test("nobody connects without a certificate", async (context) => {
    await using resources = new AsyncDisposableStack();
    const open = await start(context, resources, store);
    await expect(open().heartbeat({ machineId: randomUUID() })).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

test("Go with nothing behind it answers, and writes nothing", async (context) => {
  await using resources = new AsyncDisposableStack();
  const open = await start(context, resources, "nothing");
  const { machineId, key } = await machineWithAgent(database.db);
  expect((await open(key).heartbeat({ machineId })).nextHeartbeatAfter?.seconds).toBe(30n);
  expect(await readHeartbeatAt(machineId)).toBeUndefined();
});
