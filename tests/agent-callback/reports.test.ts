/** What reports do: they move forward, count once, and only for what was requested. */
import { create, toBinary } from "@bufbuild/protobuf";
import { eq } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import {
  AgentHardwareReportSchema,
  OSInstallationReportSchema,
  OSInstallationRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { codeOf, grpcAgent, type HeartbeatInit, type TestAgent } from "../support/agents.ts";
import { findInstallation } from "../support/installation.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
let machine: TestMachine;
let agent: TestAgent;

beforeEach(async () => {
  machine = await machineWithAgent(database.db);
  agent = grpcAgent(server, machine.key);
  return () => agent[Symbol.dispose]();
});

const request = (generation?: bigint) => requestInstallation(database.db, machine.machineId, generation);
const tags = () => readTags(database, machine.machineId);
const beat = (init: HeartbeatInit = {}) => agent.heartbeat({ machineId: machine.machineId, ...init });
const succeed = (generation: bigint) =>
  beat({ installationReport: { generation, result: { case: "success", value: {} } } });
const fail = (generation: bigint, error: string) =>
  beat({ installationReport: { generation, result: { case: "error", value: { error } } } });
const pending = async () => (await beat()).installationRequest?.generation;
/** Requests an installation, and has the agent fetch it. */
const give = async (generation?: bigint) => {
  const requested = await request(generation);
  expect(await pending()).toBe(requested);
  return requested;
};
const findRequest = (generation: bigint) => findInstallation(database, machine.machineId, generation);
const cancelAll = () =>
  database.db
    .update(osInstallationRequest)
    .set({ cancelledAt: new Date() })
    .where(eq(osInstallationRequest.machineId, machine.machineId));
const historyOf = async (kind: string) => (await tags()).history.filter((event) => event.kind === kind);

describe("installation reports", () => {
  test("a repeated report is a success and changes nothing", async () => {
    await give(5n);
    await succeed(5n);
    const first = (await tags()).report;
    await succeed(5n);
    await fail(5n, "the second outcome of one generation does not count");
    expect((await tags()).report).toEqual(first);
    expect(await historyOf("installation_reported")).toHaveLength(1);
    expect(await pending()).toBeUndefined();
  });

  test("a late report of a superseded generation counts, and leaves the newer request pending", async () => {
    await give(5n);
    await request(6n);
    await fail(5n, "too small a disk");
    expect((await tags()).report).toMatchObject({ generation: 5n, result: "error", error: "too small a disk" });
    expect(await findRequest(5n)).toMatchObject({ result: "error", error: "too small a disk" });
    expect(await pending()).toBe(6n);
  });

  test("a report that was overtaken is a success and takes nothing back", async () => {
    await give(5n);
    await give(6n);
    await succeed(6n);
    await fail(5n, "late");
    expect((await tags()).report).toMatchObject({ generation: 6n, result: "success" });
    expect(await pending()).toBeUndefined();
  });

  test("a late report of a given request that was cancelled since counts", async () => {
    const generation = await give();
    await cancelAll();
    expect(await pending()).toBeUndefined();
    await succeed(generation);
    expect((await tags()).report).toMatchObject({ generation, result: "success" });
    expect(await request()).toBe(generation + 1n);
  });

  test("cancelling the latest request does not bring a superseded one back", async () => {
    await request(5n);
    await request(6n);
    await database.db
      .update(osInstallationRequest)
      .set({ cancelledAt: new Date() })
      .where(eq(osInstallationRequest.generation, 6n));
    expect(await pending()).toBeUndefined();
  });

  test("a report without a result, as the first agents send it, means success", async () => {
    await give(5n);
    await beat({ installationReport: { generation: 5n } });
    expect((await tags()).report).toMatchObject({ generation: 5n, result: "success", error: null });
  });

  test("a report with a result that only newer agents know is refused, and nothing is stored", async () => {
    await request(5n);
    const report = create(OSInstallationReportSchema, { generation: 5n });
    report.$unknown = [{ no: 17, wireType: 2, data: new Uint8Array([0]) }];
    expect(await codeOf(beat({ installationReport: report }))).toBe("InvalidArgument");
    const { heartbeat, report: stored } = await tags();
    expect([heartbeat, stored]).toEqual([undefined, undefined]);
  });

  test("a report of a generation that was never requested is refused and recorded once; the rest counts", async () => {
    await request(5n);
    const hardwareReport = { report: { manufacturer: "ACME" } };
    const report = { generation: 4n, result: { case: "success" as const, value: {} } };
    for (let time = 0; time < 2; time++) {
      expect(await codeOf(beat({ hardwareReport, installationReport: report }))).toBe("FailedPrecondition");
    }
    const { heartbeat, hardware, report: stored } = await tags();
    expect(heartbeat).toBeDefined();
    expect(hardware).toBeDefined();
    expect(stored).toBeUndefined();
    expect(await historyOf("installation_report_refused")).toMatchObject([
      { actor: `agent:${machine.key.publicKeyHex}`, detail: { generation: "4", result: "success" } },
    ]);
    expect(await pending()).toBe(5n);
  });

  test("another machine's generation is not this machine's", async () => {
    const other = await machineWithAgent(database.db);
    await requestInstallation(database.db, other.machineId, 7n);
    expect(await codeOf(succeed(7n))).toBe("FailedPrecondition");
  });

  test("an error text that PostgreSQL cannot hold is stored readable, and whole in the report's bytes", async () => {
    await give(5n);
    const error = `disk\0 ${"x".repeat(10_000)}`;
    await fail(5n, error);
    const { report } = await tags();
    expect(report?.error).toMatch(/^disk\ufffd x+$/);
    expect(report?.error).toHaveLength(4096);
    const whole = create(OSInstallationReportSchema, { generation: 5n, result: { case: "error", value: { error } } });
    expect(Buffer.from(report?.report ?? [])).toEqual(Buffer.from(toBinary(OSInstallationReportSchema, whole)));
  });

  test("the greatest generation of the wire goes all the way", async () => {
    const generation = 2n ** 63n - 1n;
    await request(generation);
    expect(await pending()).toBe(generation);
    await succeed(generation);
    expect((await tags()).report?.generation).toBe(generation);
  });
});

describe("a stored request that cannot be decoded", () => {
  test.each([
    ["garbage", Buffer.from([0x0a, 0xff])],
    [
      "a request without a type",
      Buffer.from(toBinary(OSInstallationRequestSchema, create(OSInstallationRequestSchema))),
    ],
  ])("%s is logged and not handed out; the heartbeat goes on", async (_name, bytes) => {
    const generation = await request();
    await database.db
      .update(osInstallationRequest)
      .set({ request: bytes })
      .where(eq(osInstallationRequest.machineId, machine.machineId));
    const answer = await beat({ hardwareReport: { report: { product: "X1" } } });
    expect(answer.installationRequest).toBeUndefined();
    expect((await tags()).hardware).toBeDefined();
    expect(await findRequest(generation)).toMatchObject({ firstGivenAt: null, timesGiven: 0n, dueAt: null });
    expect(await historyOf("installation_given")).toEqual([]);
    expect(server.logged).toContainEqual(
      expect.objectContaining({
        level: 50,
        machineId: machine.machineId,
        generation: generation.toString(),
      }),
    );
  });
});

test("a request of a type that only a newer server knows is handed out as it is stored", async () => {
  const generation = await request();
  const stored = create(OSInstallationRequestSchema, { generation });
  stored.$unknown = [{ no: 18, wireType: 2, data: new Uint8Array([2, 8, 1]) }];
  await database.db
    .update(osInstallationRequest)
    .set({ request: Buffer.from(toBinary(OSInstallationRequestSchema, stored)) })
    .where(eq(osInstallationRequest.machineId, machine.machineId));
  const handed = (await beat()).installationRequest;
  expect(handed?.$unknown?.map(({ no, data }) => [no, [...data]])).toEqual([[18, [2, 8, 1]]]);
  expect(await findRequest(generation)).toMatchObject({ timesGiven: 1n });
});

describe("hardware reports", () => {
  test("an equal report is not written again, a different one is", async () => {
    const report = { manufacturer: "ACME", serialNumber: "1" };
    await beat({ hardwareReport: { report, warning: ["no SMART"] } });
    const first = (await tags()).hardware;
    await beat({ hardwareReport: { report, warning: ["no SMART"] } });
    expect((await tags()).hardware).toEqual(first);
    await beat({ hardwareReport: { report: { ...report, serialNumber: "2" } } });
    const second = (await tags()).hardware;
    expect(second?.reportedAt.getTime()).toBeGreaterThan(first?.reportedAt.getTime() ?? 0);
    const expected = create(AgentHardwareReportSchema, { report: { ...report, serialNumber: "2" } });
    expect(Buffer.from(second?.report ?? [])).toEqual(Buffer.from(toBinary(AgentHardwareReportSchema, expected)));
  });

  test("fields that only newer agents know are kept", async () => {
    const report = create(AgentHardwareReportSchema, { report: { product: "X1" } });
    report.$unknown = [{ no: 100, wireType: 2, data: new Uint8Array([3, 1, 2, 3]) }];
    await beat({ hardwareReport: report });
    expect(Buffer.from((await tags()).hardware?.report ?? []).includes(Buffer.from([1, 2, 3]))).toBe(true);
  });
});
