/** What an agent tells of itself and of the installation that it carries out. */
import { eq } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { installationState, machineState } from "../../src/db/schema/index.ts";
import { codeOf, grpcAgent, type HeartbeatInit, type TestAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { findInstallation } from "../support/installation.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
let machine: TestMachine;
let agent: TestAgent;

beforeEach(async () => {
  machine = await machineWithAgent(database.db);
  agent = grpcAgent(server, machine.key);
  return () => agent[Symbol.dispose]();
});

const beat = (init: HeartbeatInit = {}) => agent.heartbeat({ machineId: machine.machineId, ...init });
const tell = (progress: HeartbeatInit["installationProgress"]) => beat({ installationProgress: progress });
const tags = () => readTags(database, machine.machineId);
const request = () => requestInstallation(database.db, machine.machineId);
const give = async () => {
  const generation = await request();
  await beat();
  return generation;
};
const findRequest = (generation: bigint) => findInstallation(database, machine.machineId, generation);
const states = async () => {
  const { db } = database;
  const { machineId } = machine;
  const [ofMachine] = await db.select().from(machineState).where(eq(machineState.machineId, machineId));
  const [ofInstallation] = await db.select().from(installationState).where(eq(installationState.machineId, machineId));
  return [ofMachine?.state, ofInstallation?.state];
};
const msBetween = (from: Date | null | undefined, to: Date | null | undefined) =>
  (to?.getTime() ?? Number.NaN) - (from?.getTime() ?? Number.NaN);

test("an installation goes from pending over given and installing to its outcome", async () => {
  await beat();
  expect(await states()).toEqual(["heartbeating", undefined]);
  const generation = await request();
  expect(await states()).toEqual(["installation_pending", "pending"]);
  await beat();
  expect(await states()).toEqual(["installation_given", "given"]);
  await tell({ generation, phase: "writing image", percent: 40 });
  expect(await states()).toEqual(["installing", "installing"]);
  expect(await findRequest(generation)).toMatchObject({ phase: "writing image", percent: 40, timesGiven: 2n });
  await beat({ installationReport: { generation, result: { case: "error", value: { error: "no disk" } } } });
  expect(await states()).toEqual(["installation_failed", "failed"]);
  expect((await tags()).history.map(({ kind }) => kind).slice(2)).toEqual([
    "installation_requested",
    "installation_given",
    "installation_started",
    "installation_reported",
  ]);
});

test("a delivery is due after BMAAS_INSTALL_DEADLINE, progress after the silence that it announces", async () => {
  const own = await createTestDatabase();
  try {
    await using hasty = await startTestServer(own.url, { BMAAS_INSTALL_DEADLINE: "77" });
    const { machineId, key } = await machineWithAgent(own.db);
    using its = grpcAgent(hasty, key);
    const generation = await requestInstallation(own.db, machineId);
    await its.heartbeat({ machineId });
    const given = await findInstallation(own, machineId, generation);
    expect(msBetween(given?.firstGivenAt, given?.dueAt)).toBe(77_000);
    for (const [quietFor, expectedMs] of [
      [undefined, 90_000],
      [{ seconds: 600n, nanos: 500_000_000 }, 600_500],
      [{ seconds: 10_000_000n }, 86_400_000],
      [{ seconds: 0n }, 0],
    ] as const) {
      await its.heartbeat({
        machineId,
        installationProgress: { generation, ...(quietFor && { quietFor: { nanos: 0, ...quietFor } }) },
      });
      const told = await findInstallation(own, machineId, generation);
      expect(msBetween(told?.progressAt, told?.dueAt)).toBe(expectedMs);
    }
  } finally {
    await own.close();
  }
});

test("progress beside a report is not looked at", async () => {
  const generation = await give();
  await beat({
    installationReport: { generation, result: { case: "success", value: {} } },
    installationProgress: { generation, percent: 5, quietFor: { seconds: 600n, nanos: 0 } },
  });
  expect(await findRequest(generation)).toMatchObject({ startedAt: null, percent: null, result: "success" });
  const { heartbeat } = await tags();
  expect(msBetween(heartbeat?.heartbeatAt, heartbeat?.quietUntil)).toBe(90_000);
});

test("progress of another generation than the open one is ignored, and the log says so to who looks closely", async () => {
  const generation = await give();
  await tell({ generation: generation + 1n, percent: 5 });
  expect(await findRequest(generation)).toMatchObject({ startedAt: null, percent: null });
  expect(server.logged).toContainEqual(
    expect.objectContaining({ level: 20, machineId: machine.machineId, generation: "2", pending: "1" }),
  );
});

describe("invalid_argument names the field, and nothing is stored", () => {
  test.each([
    ["percent", "below 0", { percent: -1 }],
    ["percent", "above 100", { percent: 101 }],
    ["quiet_for", "before now", { quietFor: { seconds: -1n, nanos: 0 } }],
    ["quiet_for", "a little before now", { quietFor: { seconds: 0n, nanos: -1 } }],
    ["quiet_for", "with a second of nanoseconds", { quietFor: { seconds: 0n, nanos: 1_000_000_000 } }],
  ])("%s %s", async (field, _what, progress) => {
    await expect(tell({ generation: 1n, ...progress })).rejects.toMatchObject({
      code: 3,
      rawMessage: expect.stringMatching(`^installation_progress\\.${field}: `),
    });
    expect((await tags()).heartbeat).toBeUndefined();
  });

  test("but not beside a report, where progress is not looked at", async () => {
    const generation = await give();
    const installationReport = { generation, result: { case: "success" as const, value: {} } };
    expect(await codeOf(beat({ installationReport, installationProgress: { generation, percent: 101 } }))).toBe("ok");
  });
});

test("texts are bounded, and hold nothing that PostgreSQL does not", async () => {
  const generation = await give();
  await beat({
    agentVersion: `1.0\0${"x".repeat(1000)}`,
    bootId: "b".repeat(1000),
    installationProgress: { generation, phase: `\0${"p".repeat(100_000)}` },
  });
  const { heartbeat } = await tags();
  expect(heartbeat?.agentVersion).toBe(`1.0\ufffd${"x".repeat(124)}`);
  expect(heartbeat?.bootId).toBe("b".repeat(128));
  expect((await findRequest(generation))?.phase).toBe(`\ufffd${"p".repeat(127)}`);
});

test("an empty version or boot id says as little as none", async () => {
  await beat({ agentVersion: "1.0", bootId: "a" });
  await beat({ agentVersion: "", bootId: "" });
  expect((await tags()).heartbeat).toMatchObject({ agentVersion: "1.0", bootId: "a" });
});
