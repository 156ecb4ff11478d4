/**
 * What holds when operators and agents meet at one machine's installation, on two server processes over one database.
 */
import { expect, test } from "vitest";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { errorOf } from "../../support/call-error.ts";
import { type FleetMachine, machineOn, success } from "../../support/fleet.ts";
import { readInstallation } from "../../support/installation.ts";
import { bareMachine, readTags, requestInstallation, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";

const connectOperator = (server: ServerProcess, secret: string) =>
  adminClient(InstallationService, server.adminUrl, secret);

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "operator");
const operators = servers.map((server) => connectOperator(server, secret));

const target = { type: { case: "image", value: testImage } } as const;
const operator = (server: number) => operators[server % 2] as (typeof operators)[number];
const newest = async (machineId: string) => (await operator(0).getInstallation({ machineId })).installation;
const generationsOf = async (machineId: string, kind: string) =>
  (await readTags(database, machineId)).history
    .filter((event) => event.kind === kind)
    .map((event) => BigInt(event.detail.generation as string));

/**
 * Runs `race` on several machines, `rounds` times on each and then on until it had every one of `outcomes`: a race that
 * only ever has one outcome proves nothing.
 */
async function repeat(
  rounds: number,
  outcomes: readonly string[],
  race: (machine: FleetMachine, round: number) => Promise<string>,
): Promise<void> {
  const missing = new Set(outcomes);
  await Promise.all(
    [0, 1, 2, 3].map(async () => {
      using machine = await machineOn(database.db, servers);
      for (let round = 0; round < rounds || (missing.size > 0 && round < 10 * rounds); round++) {
        missing.delete(await race(machine, round));
      }
    }),
  );
  expect([...missing]).toEqual([]);
}

/** Starts both, the one or the other first, and waits for both. */
async function atOnce<A, B>(isFirst: boolean, a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> {
  if (isFirst) return await Promise.all([a(), b()]);
  const [second, first] = await Promise.all([b(), a()]);
  return [first, second];
}

test("requests at once get different generations, and none is lost", async () => {
  const machineId = await bareMachine(database.db);
  const requests = Array.from({ length: 12 }, (_, index) =>
    operator(index).requestInstallation({ uncheckedDisk: true, machineId, target }),
  );
  const generations = (await Promise.all(requests)).map(({ installation }) => installation?.generation ?? 0n);
  const expected = Array.from({ length: 12 }, (_, index) => BigInt(index + 1));
  expect(generations.toSorted((a, b) => Number(a - b))).toEqual(expected);
  expect(await generationsOf(machineId, "installation_requested")).toEqual(expected);
  expect(await newest(machineId)).toMatchObject({ generation: 12n, state: InstallationState.PENDING });
});

test("of requests at once for the same generation one succeeds, and the others are told", async () => {
  const machineId = await bareMachine(database.db);
  for (let generation = 1n; generation <= 5n; generation++) {
    const requests = [0, 1, 0, 1].map((server) =>
      errorOf(operator(server).requestInstallation({ uncheckedDisk: true, machineId, target, generation })),
    );
    const outcomes = await Promise.all(requests);
    const refusal = `GENERATION_NOT_GROWING machines/${machineId}/installations/${generation}`;
    expect(outcomes.map(({ code }) => code).toSorted()).toEqual([...Array(3).fill("FailedPrecondition"), "ok"]);
    expect(outcomes.flatMap(({ preconditions }) => preconditions)).toEqual(Array(3).fill(refusal));
  }
  expect(await generationsOf(machineId, "installation_requested")).toEqual([1n, 2n, 3n, 4n, 5n]);
});

test("a request that meets the delivery of the one before either supersedes it or is told", async () => {
  await repeat(15, ["superseded", "told"], async (machine, round) => {
    const { machineId } = machine;
    const before = await requestInstallation(database.db, machineId);
    const [error, handed] = await atOnce(
      round % 2 === 0,
      () => errorOf(operator(round).requestInstallation({ uncheckedDisk: true, machineId, target })),
      () => machine.beat((round + 1) % 2),
    );
    if (error.code === "ok") {
      // The heartbeat came before or after both, or found that neither was given yet.
      expect([undefined, before + 1n]).toContain(handed);
      expect((await readInstallation(database, machineId, before)).firstGivenAt).toBeNull();
      expect(await machine.beat(round % 2)).toBe(before + 1n);
      return "superseded";
    }
    expect(error.preconditions).toEqual([`INSTALLATION_GIVEN machines/${machineId}/installations/${before}`]);
    expect(handed).toBe(before);
    expect(await newest(machineId)).toMatchObject({ generation: before, state: InstallationState.GIVEN });
    return "told";
  });
});

test("a request that meets the report of the one before is told, or handed out; the report counts either way", async () => {
  await repeat(15, ["ok", "FailedPrecondition"], async (machine, round) => {
    const { machineId } = machine;
    const before = await requestInstallation(database.db, machineId);
    expect(await machine.beat(0)).toBe(before);
    const [error] = await atOnce(
      round % 2 === 0,
      () => errorOf(operator(round).requestInstallation({ uncheckedDisk: true, machineId, target })),
      () => machine.beat((round + 1) % 2, success(before)),
    );
    expect((await readTags(database, machineId)).report?.generation).toBe(before);
    expect((await readInstallation(database, machineId, before)).result).toBe("success");
    const next = error.code === "ok" ? before + 1n : undefined;
    if (error.code !== "ok") expect(error.preconditions[0]).toMatch(/^INSTALLATION_GIVEN/);
    expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([next, next]);
    return error.code;
  });
});

test("a cancellation that meets the delivery wins, and no agent is ever given the request; or is told, and one is", async () => {
  await repeat(25, ["cancelled", "given"], async (machine, round) => {
    const { machineId } = machine;
    const generation = await requestInstallation(database.db, machineId);
    const [error, handed] = await atOnce(
      round % 2 === 0,
      () => errorOf(operator(round).cancelInstallation({ machineId, expectedGeneration: generation })),
      () => machine.beat((round + 1) % 2),
    );
    const stored = await readInstallation(database, machineId, generation);
    const installation = await newest(machineId);
    if (error.code === "ok") {
      expect(handed).toBeUndefined();
      expect(stored).toMatchObject({ firstGivenAt: null, timesGiven: 0n });
      expect(installation).toMatchObject({ generation, state: InstallationState.CANCELLED });
      expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
      return "cancelled";
    }
    expect(error.preconditions).toEqual([`INSTALLATION_GIVEN machines/${machineId}/installations/${generation}`]);
    expect(handed).toBe(generation);
    expect(stored).toMatchObject({ cancelledAt: null, timesGiven: 1n });
    expect(installation).toMatchObject({ generation, state: InstallationState.GIVEN });
    return "given";
  });
});

test("of cancellations and retries at once everybody learns the same", async () => {
  await repeat(5, [], async (machine, round) => {
    const { machineId } = machine;
    const generation = await requestInstallation(database.db, machineId);
    expect(await machine.beat(0)).toBe(generation);
    const report = { generation, result: { case: "error", value: { error: "no disk" } } } as const;
    await machine.beat(0, { installationReport: report });
    const retries = [0, 1].map((server) => errorOf(operator(server).retryInstallation({ machineId })));
    expect((await Promise.all(retries)).map(({ code }) => code).toSorted()).toEqual(["FailedPrecondition", "ok"]);
    const cancels = [0, 1].map((server) => errorOf(operator(server + round).cancelInstallation({ machineId })));
    expect((await Promise.all(cancels)).map(({ code }) => code)).toEqual(["ok", "ok"]);
    expect(await generationsOf(machineId, "installation_cancelled")).toHaveLength(round + 1);
    expect(await newest(machineId)).toMatchObject({ generation: generation + 1n, state: InstallationState.CANCELLED });
    return "as it should be";
  });
});
