/**
 * Reports of installations that the agent was never given: they count for nothing, and what is requested next is none
 * of them.
 */
import { and, eq } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { codeOf, grpcAgent, type HeartbeatInit, type TestAgent } from "../support/agents.ts";
import { errorOf } from "../support/call-error.ts";
import { success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { machineWithAgent, readTags, replaceAgentKey, type TestMachine, testImage } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "admin");
const installations = adminClient(InstallationService, server.adminUrl, secret);
const machines = adminClient(MachineService, server.adminUrl, secret);
let machine: TestMachine;
let agent: TestAgent;

beforeEach(async () => {
  machine = await machineWithAgent(database.db);
  agent = grpcAgent(server, machine.key);
  return () => agent[Symbol.dispose]();
});

const target = { type: { case: "image", value: testImage } } as const;
const request = async (generation = 0n) => {
  const asked = { uncheckedDisk: true, machineId: machine.machineId, target, generation, force: true };
  return (await installations.requestInstallation(asked)).installation?.generation ?? 0n;
};
const beat = (init: HeartbeatInit = {}) => agent.heartbeat({ machineId: machine.machineId, ...init });
const fetch = async () => (await beat()).installationRequest?.generation;
const report = (generation: bigint) => errorOf(beat(success(generation)));
const tags = () => readTags(database, machine.machineId);
const read = (generation: bigint) => readInstallation(database, machine.machineId, generation);
const refusals = async () =>
  (await tags()).history.filter(({ kind }) => kind === "installation_report_refused").map(({ detail }) => detail);
const explain = () => machines.explainMachine({ machineId: machine.machineId });
const succeeds = { code: "ok" };
const maxGeneration = 2n ** 63n - 1n;
const neverRequested = { code: "FailedPrecondition", message: expect.stringMatching(/was never requested for this/) };
const neverGiven = { code: "FailedPrecondition", message: expect.stringMatching(/was never given to this machine's/) };

test("a refused report fulfils no request that comes later", async () => {
  expect(await report(1n)).toMatchObject(neverRequested);
  expect(await request()).toBe(2n);
  expect(await report(1n)).toMatchObject(neverRequested);
  expect((await tags()).report).toBeUndefined();
  expect(await fetch()).toBe(2n);
  expect(await report(2n)).toMatchObject(succeeds);
  expect((await tags()).report).toMatchObject({ generation: 2n, result: "success" });
});

test("a generation that the agent has reported cannot be asked for by its number", async () => {
  expect(await request()).toBe(1n);
  expect(await report(9n)).toMatchObject(neverRequested);
  expect(
    await errorOf(
      installations.requestInstallation({ uncheckedDisk: true, ...machine, target, generation: 9n, force: true }),
    ),
  ).toEqual(
    expect.objectContaining({
      code: "FailedPrecondition",
      message: expect.stringContaining("does not exceed 9, the greatest one requested or reported before"),
    }),
  );
  expect(await request(10n)).toBe(10n);
});

describe("a report of an open request that was not given", () => {
  test("is refused, recorded once, and finishes nothing", async () => {
    expect(await request()).toBe(1n);
    expect(await report(1n)).toMatchObject(neverGiven);
    expect(await report(1n)).toMatchObject(neverGiven);
    expect((await tags()).report).toBeUndefined();
    expect(await read(1n)).toMatchObject({ finishedAt: null, timesGiven: 0n });
    expect(await refusals()).toEqual([{ generation: "1", result: "success", error: null, reason: "never_given" }]);
  });

  test("withholds that request, which explanations say, until another one takes its place", async () => {
    await request();
    await report(1n);
    expect(await fetch()).toBeUndefined();
    expect(await read(1n)).toMatchObject({ timesGiven: 0n });
    const { condition, remedies, next } = await explain();
    expect(condition).toMatch(
      /it is withheld, because the machine's agent reported this generation, or a later one, before it was given/,
    );
    expect([next, remedies[0]?.command]).toEqual(["", expect.stringContaining("bmaas install request")]);
    expect(await request()).toBe(2n);
    // Superseded now: the agent may stop repeating its report, which counts as little as before.
    expect(await report(1n)).toMatchObject(succeeds);
    expect((await tags()).report).toBeUndefined();
    expect(await read(1n)).toMatchObject({ finishedAt: null });
    expect(await fetch()).toBe(2n);
  });

  test.each([
    ["report", success(2n)],
    ["progress", { installationProgress: { generation: 2n, phase: "writing the image" } }],
  ])("withholds that request after the %s of a later generation too", async (_what, later) => {
    await request();
    await report(1n);
    await errorOf(beat(later));
    expect(await fetch()).toBeUndefined();
    expect(await read(1n)).toMatchObject({ timesGiven: 0n });
    expect(await request()).toBe(3n);
    expect(await fetch()).toBe(3n);
  });
});

test("an open request is not given to an agent that has reported a later one, which a restored database lacks", async () => {
  expect(await request()).toBe(1n);
  expect(await report(4n)).toMatchObject(neverRequested);
  expect(await fetch()).toBeUndefined();
  expect((await explain()).condition).toMatch(/reported this generation, or a later one, before it was given it/);
  expect(await request()).toBe(5n);
  expect(await fetch()).toBe(5n);
});

test("a late report of a cancelled request that was never given is a success, and does not count", async () => {
  await request();
  await installations.cancelInstallation({ machineId: machine.machineId });
  expect(await report(1n)).toMatchObject(succeeds);
  expect((await tags()).report).toBeUndefined();
  expect(await read(1n)).toMatchObject({ finishedAt: null, cancelledAt: expect.any(Date) });
  expect(await refusals()).toMatchObject([{ generation: "1", reason: "never_given" }]);
});

test("a given request is handed out again whatever else was reported, and its report counts", async () => {
  await request();
  expect(await fetch()).toBe(1n);
  expect(await report(5n)).toMatchObject(neverRequested);
  expect(await fetch()).toBe(1n);
  expect(await report(1n)).toMatchObject(succeeds);
  expect((await tags()).report?.generation).toBe(1n);
  expect(await request()).toBe(6n);
});

test("an agent with a new key goes on where the machine's last one was", async () => {
  await request();
  await fetch();
  machine = { ...machine, key: await replaceAgentKey(database.db, machine.machineId) };
  using successor = grpcAgent(server, machine.key);
  expect(await errorOf(successor.heartbeat({ machineId: machine.machineId, ...success(1n) }))).toMatchObject(succeeds);
  expect((await tags()).report?.generation).toBe(1n);
});

test("progress of what was never requested keeps its number from later requests", async () => {
  const installationProgress = { generation: 4n, phase: "writing the image" };
  await beat({ installationProgress });
  expect((await explain()).condition).toMatch(
    /its agent reported installation 4, which this server's database never gave it/,
  );
  expect(await request()).toBe(5n);
  expect((await beat({ installationProgress })).installationRequest?.generation).toBe(5n);
  expect(await report(4n)).toMatchObject(neverRequested);
  expect((await tags()).report).toBeUndefined();
});

test("an agent in the midst of what the database has lost is not given another request of that number", async () => {
  const installationProgress = { generation: 1n, phase: "writing the image" };
  expect(await request()).toBe(1n);
  expect((await beat({ installationProgress })).installationRequest).toBeUndefined();
  expect((await explain()).condition).toMatch(/it is withheld/);
  expect(await report(1n)).toMatchObject(neverGiven);
  expect(await request()).toBe(2n);
  expect((await beat({ installationProgress })).installationRequest?.generation).toBe(2n);
});

describe("an agent that reports numbers out of the air", () => {
  test.each([
    ["the greatest there is", maxGeneration],
    ["far past what was requested", 2n ** 45n + 2n],
    ["zero", 0n],
    ["below zero", -(2n ** 63n)],
  ])("%s: leaves the machine its numbers", async (_what, generation) => {
    expect(await request()).toBe(1n);
    expect(await report(generation)).toMatchObject(neverRequested);
    expect(await report(generation)).toMatchObject(neverRequested);
    expect(await request()).toBe(2n);
    expect(await fetch()).toBe(2n);
  });

  test("is believed as far as numbers made of a time reach, and no further however often it reports", async () => {
    const time = 20_261_129_103_000n;
    expect(await report(time)).toMatchObject(neverRequested);
    expect(await report(2n * time)).toMatchObject(neverRequested);
    expect(await request()).toBe(time + 1n);
  });

  test("cannot be given the very number that it has reported", async () => {
    await report(maxGeneration);
    const asked = { uncheckedDisk: true, machineId: machine.machineId, target, generation: maxGeneration, force: true };
    expect(await errorOf(installations.requestInstallation(asked))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`GENERATION_REPORTED machines/${machine.machineId}/installations/${maxGeneration}`],
    });
    expect(await request(maxGeneration - 1n)).toBe(maxGeneration - 1n);
  });
});

test("what was reported outlives the machine under its id", async () => {
  await report(7n);
  await machines.deleteMachine({ machineId: machine.machineId });
  await machines.createMachine({ machineId: machine.machineId });
  expect(await request()).toBe(8n);
});

test("explanations say that the last heartbeat's report was refused, until a heartbeat carries none", async () => {
  await report(3n);
  const { condition, remedies } = await explain();
  expect(condition).toMatch(/its agent reported installation 3, which this server's database never gave it/);
  expect(remedies[0]?.description).toMatch(/restart the machine/);
  await beat();
  expect((await explain()).condition).not.toContain("installation 3");
});

test("rows that a restored database has lost: what the agent reports of them counts for none of those made since", async () => {
  await request();
  await fetch();
  await report(1n);
  expect(await request()).toBe(2n);
  expect(await fetch()).toBe(2n);
  // The backup was older than the second request; while the agent installs, an operator asks for another image.
  const isSecond = and(
    eq(osInstallationRequest.machineId, machine.machineId),
    eq(osInstallationRequest.generation, 2n),
  );
  await database.db.delete(osInstallationRequest).where(isSecond);
  expect(await request()).toBe(2n);
  expect(await report(2n)).toMatchObject(neverGiven);
  expect((await tags()).report?.generation).toBe(1n);
  expect(await request()).toBe(3n);
  expect(await codeOf(beat(success(2n)))).toBe("ok");
  expect((await tags()).report?.generation).toBe(1n);
  expect(await fetch()).toBe(3n);
});
