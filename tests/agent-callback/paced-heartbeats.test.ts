/** What agents are told of their next heartbeat, by a real server, and how long silence is normal then. */
import { randomUUID } from "node:crypto";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { HeartbeatResponse } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { grpcAgent, signingAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

async function startPacing(intervalSeconds: number): Promise<TestServer> {
  const server = await startTestServer(database.url, { BMAAS_HEARTBEAT_INTERVAL: String(intervalSeconds) });
  onTestFinished(() => server.close());
  return server;
}

const toldMs = ({ nextHeartbeatAfter: told }: HeartbeatResponse) => (told === undefined ? 0 : durationMs(told));

async function quietMs({ machineId }: TestMachine): Promise<number> {
  const { heartbeat } = await readTags(database, machineId);
  return (heartbeat?.quietUntil.getTime() ?? 0) - (heartbeat?.heartbeatAt.getTime() ?? 0);
}

test("an agent is told when to call next, whatever it speaks and whichever server answers", async () => {
  const machine = await machineWithAgent(database.db);
  const servers = [await startPacing(600), await startPacing(600)];
  const moments: number[] = [];
  for (const server of servers) {
    using certified = grpcAgent(server, machine.key);
    const answers = [await certified.heartbeat({ machineId: machine.machineId })];
    for (const protocol of ["connect-json", "grpc-web"] as const)
      answers.push(await signingAgent(server, machine, protocol).heartbeat({ machineId: machine.machineId }));
    for (const answer of answers) {
      expect(toldMs(answer)).toBeGreaterThan(290_000);
      expect(toldMs(answer)).toBeLessThan(910_000);
      moments.push((Date.now() + toldMs(answer)) % 600_000);
    }
  }
  // Jitter is a hundredth of the interval; the test may take as long again.
  const [first = 0] = moments;
  for (const moment of moments) {
    const apartMs = Math.abs(moment - first);
    expect(Math.min(apartMs, 600_000 - apartMs)).toBeLessThan(60_000);
  }
});

test.each([
  [10, 90_000],
  [30, 90_000],
  [100, 300_000],
])("at an interval of %d s a machine that is silent for %d ms is not stale", async (intervalSeconds, allowanceMs) => {
  const server = await startPacing(intervalSeconds);
  const machine = await machineWithAgent(database.db);
  using agent = grpcAgent(server, machine.key);
  const answer = await agent.heartbeat({ machineId: machine.machineId });
  expect(await quietMs(machine)).toBe(allowanceMs);
  expect(toldMs(answer)).toBeLessThan(allowanceMs);
});

test("an agent that is given an installation is told as well, and one that is refused is not", async () => {
  const server = await startPacing(30);
  const machine = await machineWithAgent(database.db);
  await requestInstallation(database.db, machine.machineId, 5n);
  using agent = grpcAgent(server, machine.key);
  const answer = await agent.heartbeat({ machineId: machine.machineId });
  expect(answer.installationRequest?.generation).toBe(5n);
  expect(toldMs(answer)).toBeGreaterThan(14_000);
  await expect(agent.heartbeat({ machineId: randomUUID() })).rejects.toThrow("machine id or public key unknown");
});
