/**
 * Whose installation reports are served while the server is past its capacity, and where they stand in the writer's
 * queue.
 */
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { createDeliveryWriter, createHeartbeatWriter } from "../../../src/agent-callback/heartbeat-writer.ts";
import { defaultFailureRule } from "../../../src/agent-callback/stranger-limit.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { type HeartbeatStore, openHeartbeatStore } from "../../../src/db/heartbeat-store.ts";
import { createMetrics } from "../../../src/metrics/metrics.ts";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { createAgents } from "../../../src/service/agents.ts";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { codeOf, grpcAgent, signingAgent, type TestAgent } from "../../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { moveInstallation } from "../../support/installation.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../../support/machine.ts";
import { makeFolder } from "../../support/program.ts";

let database: TestDatabase;
let store: HeartbeatStore;
let machine: TestMachine;
/** What the writer says of itself, and whether the heartbeats that it was given were urgent. */
const seen = { expectedWaitMs: 0, urgent: [] as (boolean | undefined)[] };

beforeAll(async () => {
  database = await createTestDatabase();
  store = openHeartbeatStore(database.url, { maxBatches: 3 });
});
afterAll(async () => {
  await store?.close();
  await database?.close();
});
beforeEach(async () => {
  Object.assign(seen, { expectedWaitMs: 0, urgent: [] });
  machine = await machineWithAgent(database.db);
});

/** An agents' side that has met nobody, over the database of the test. */
async function startAgents() {
  const writer = createHeartbeatWriter(store);
  const heartbeats: typeof writer = {
    queueLength: 0,
    get expectedWaitMs() {
      return seen.expectedWaitMs;
    },
    write: (row, patience, isUrgent) => {
      seen.urgent.push(isUrgent);
      return writer.write(row, patience, isUrgent);
    },
  };
  const config = loadConfig({ DATABASE_URL: database.url, BMAAS_AGENT_LISTEN: "127.0.0.1:0" });
  const tls = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const listener = createAgents(config, tls, {
    db: database.db,
    store,
    writers: { heartbeats, deliveries: createDeliveryWriter(store) },
    metrics: createMetrics(),
    tracing: undefined,
    log: pino({ level: "silent" }),
  });
  const close = prepareClose(listener);
  onTestFinished(() => close());
  return { agentUrl: await listener.listen({ host: "127.0.0.1", port: 0 }), ca: tls.ca };
}

/** Requests an installation that the machine's agent then has, and returns its generation. */
async function giveInstallation(machineId: string): Promise<bigint> {
  const generation = await requestInstallation(database.db, machineId);
  await moveInstallation(database.db, machineId, generation, "given");
  return generation;
}

type Server = Awaited<ReturnType<typeof startAgents>>;
const proofs: [string, (server: Server, machine: TestMachine) => TestAgent][] = [
  ["a certificate", (server, { key }) => grpcAgent(server, key)],
  ["a signature by Connect", (server, one) => signingAgent(server, one, "connect-json")],
  ["a signature by gRPC-Web", (server, one) => signingAgent(server, one, "grpc-web")],
];

describe.each(proofs)("with %s", (_proof, createAgent) => {
  test("a report of an agent that has called is served, and goes before other heartbeats", async () => {
    using agent = createAgent(await startAgents(), machine);
    const { machineId } = machine;
    expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
    const generation = await giveInstallation(machineId);
    seen.expectedWaitMs = 1_001;
    expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ResourceExhausted");
    expect(await codeOf(agent.heartbeat({ machineId, installationReport: { generation } }))).toBe("ok");
    expect((await readTags(database, machineId)).report).toMatchObject({ generation });
    expect(seen.urgent).toEqual([false, true]);
  });

  test("a report to a server that has just begun is refused with the others, and counts when there is room", async () => {
    using agent = createAgent(await startAgents(), machine);
    const { machineId } = machine;
    const generation = await giveInstallation(machineId);
    const report = { machineId, installationReport: { generation } };
    seen.expectedWaitMs = 1_001;
    expect(await codeOf(agent.heartbeat(report))).toBe("ResourceExhausted");
    seen.expectedWaitMs = 0;
    expect(await codeOf(agent.heartbeat(report))).toBe("ok");
    expect((await readTags(database, machineId)).report).toMatchObject({ generation });
    seen.expectedWaitMs = 1_001;
    expect(await codeOf(agent.heartbeat(report))).toBe("ok");
  });

  test("a report of a stranger is refused with the others, and jumps no queue", async () => {
    const server = await startAgents();
    using agent = createAgent(server, machine);
    const stranger = { machineId: (await machineWithAgent(database.db)).machineId, key: await generateAgentKey() };
    using strangersAgent = createAgent(server, stranger);
    const { machineId } = machine;
    expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
    const report = { machineId: stranger.machineId, installationReport: { generation: 1n } };
    expect(await codeOf(strangersAgent.heartbeat(report))).toBe("Unauthenticated");
    expect(seen.urgent).not.toContain(true);
    seen.expectedWaitMs = 1_001;
    expect(await codeOf(strangersAgent.heartbeat(report))).toBe("ResourceExhausted");
  });
});

test("who names known machines falsely is believed no more often than others are looked at", async () => {
  const server = await startAgents();
  using agent = signingAgent(server, machine, "connect-json");
  using impostor = signingAgent(server, { ...machine, key: await generateAgentKey() }, "connect-json");
  const { machineId } = machine;
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
  seen.expectedWaitMs = 1_001;
  const report = { machineId, installationReport: { generation: 1n } };
  const overloaded = "the server receives more heartbeats than it can process: retry later";
  // Time stands still, so that no attempt is given back meanwhile.
  const now = vi.spyOn(performance, "now").mockReturnValue(performance.now());
  onTestFinished(() => now.mockRestore());
  const texts: string[] = [];
  for (let call = 0; call <= defaultFailureRule.burst; call++) {
    texts.push(await impostor.heartbeat(report).catch(({ rawMessage }) => rawMessage));
  }
  const refused = "machine id or public key unknown";
  expect(texts).toEqual([...Array<string>(defaultFailureRule.burst).fill(refused), overloaded]);
});
