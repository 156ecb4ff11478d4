/** Agents without a machine ask to be let in: what they are told, and that each costs one row at most. */
import { randomUUID } from "node:crypto";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { eq, sql } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { enrol } from "../../../src/db/queries/enrolment.ts";
import { hardwareReport, machineEnrolment } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import {
  countEnrolments,
  enrolmentClient,
  enrolmentWays,
  findEnrolment,
  knock,
  reportOf,
} from "../../support/enrolments.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const other = await startTestServer(database.url, { BMAAS_UNARY_LANE: "off" });
const lanes: [string, TestServer][] = [
  ["the default", server],
  ["no lane", other],
];

beforeEach(async () => {
  await database.db.delete(machineEnrolment);
});

const mac = Uint8Array.from([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
const systemUuid = "4c4c4544-0043-3010-8052-b4c04f4a3132";

describe.each(lanes)("with %s", (_lane, place) => {
  test.each(Object.keys(enrolmentWays))("an agent waits, and costs one row however often it asks: %s", async (way) => {
    const key = await generateAgentKey();
    const client = enrolmentClient(place, key, way);
    const hardware = reportOf("SN-1", { systemUuid, networkInterface: [{ mac }], memoryInstalledBytes: 1n << 30n });
    const wish = { hardwareReport: hardware, agentVersion: "1.2.3", bootId: "boot-1" };
    const answer = await client.enrol(wish);
    expect(answer.outcome).toMatchObject({ case: "pending" });
    expect(durationMs(answer.askAgainAfter as NonNullable<typeof answer.askAgainAfter>)).toBeGreaterThan(1000);
    const first = await findEnrolment(database, key);
    expect(first).toMatchObject({
      state: "waiting",
      source: "127.0.0.1",
      address: "127.0.0.1",
      agentVersion: "1.2.3",
      bootId: "boot-1",
      manufacturer: "Acme",
      product: "A1",
      serialNumber: "SN-1",
      systemUuid,
      macAddresses: ["02:42:ac:11:00:02"],
      memoryBytes: 1n << 30n,
      machineId: null,
      decidedAt: null,
    });
    await client.enrol({ ...wish, bootId: "boot-2" });
    const second = await findEnrolment(database, key);
    expect(second).toMatchObject({ id: first?.id, firstSeenAt: first?.firstSeenAt, bootId: "boot-2" });
    expect(second?.lastSeenAt.getTime()).toBeGreaterThan(first?.lastSeenAt.getTime() as number);
    expect(await countEnrolments(database)).toBe(1);
  });

  test.each(Object.keys(enrolmentWays))("the agent of a machine is told which: %s", async (way) => {
    const { machineId, key } = await machineWithAgent(database.db);
    const { outcome, askAgainAfter } = await enrolmentClient(place, key, way).enrol({});
    expect(outcome).toMatchObject({ case: "accepted", value: { machineId } });
    expect(askAgainAfter).toBeUndefined();
    expect(await countEnrolments(database)).toBe(0);
  });
});

test("a rejected agent is told so, and nothing of the fleet, and is asked to wait longer", async () => {
  const { key, client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf("SN-2") });
  await database.db
    .update(machineEnrolment)
    .set({ state: "rejected", decidedBy: "token:alice" })
    .where(eq(machineEnrolment.id, enrolmentId));
  for (const serialNumber of ["SN-2", "SN-3"]) {
    const { outcome, askAgainAfter } = await client.enrol({ hardwareReport: reportOf(serialNumber) });
    expect(outcome).toMatchObject({
      case: "refused",
      value: { reason: "this server does not accept the agent; ask those who run it" },
    });
    expect(durationMs(askAgainAfter as NonNullable<typeof askAgainAfter>)).toBeGreaterThan(60_000);
  }
  expect(await findEnrolment(database, key)).toMatchObject({ state: "rejected", serialNumber: "SN-3" });
});

test("an agent that describes another machine waits anew, under another id", async () => {
  const { key, client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf("SN-4") });
  await client.enrol({ hardwareReport: reportOf("SN-5") });
  const after = await findEnrolment(database, key);
  expect(after).toMatchObject({ state: "waiting", serialNumber: "SN-5" });
  expect(after?.id).not.toBe(enrolmentId);
  expect(await countEnrolments(database)).toBe(1);
});

test.each(["To Be Filled By O.E.M.", "Default string", "0123456789", ""])(
  "the serial number %j identifies nobody",
  async (serialNumber) => {
    const { key } = await knock(server, database, {
      hardwareReport: reportOf(serialNumber, {
        systemUuid: "ffffffff-ffff-ffff-ffff-ffffffffffff",
        networkInterface: [{ mac: new Uint8Array(6) }],
      }),
    });
    expect(await findEnrolment(database, key)).toMatchObject({
      serialNumber: null,
      systemUuid: null,
      macAddresses: [],
    });
  },
);

test("texts with NUL and half characters count, in a form that can be stored", async () => {
  const { key } = await knock(server, database, {
    hardwareReport: reportOf("SN\0-6"),
    bootId: "b\0",
    agentVersion: "v\0",
  });
  expect(await findEnrolment(database, key)).toMatchObject({ serialNumber: "SN\ufffd-6", bootId: "b\ufffd" });
});

test("an agent whose key was taken from it waits again", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const client = enrolmentClient(server, key);
  await database.db.insert(machineEnrolment).values({
    publicKey: key.publicKey,
    state: "approved",
    machineId,
    source: "127.0.0.1",
    address: "127.0.0.1",
  });
  expect((await client.enrol({})).outcome.case).toBe("accepted");
  await database.db.execute(sql`delete from agent_started where machine_id = ${machineId}`);
  expect((await client.enrol({})).outcome.case).toBe("pending");
  expect(await findEnrolment(database, key)).toMatchObject({ state: "waiting", machineId: null });
});

describe("a key that another machine holds", () => {
  test("is refused as for heartbeats, and nothing is stored", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId, hardwareReport: reportOf("SN-7") });
    const client = enrolmentClient(server, key);
    await expect(client.enrol({ hardwareReport: reportOf("SN-8") })).rejects.toMatchObject({
      code: 16,
      rawMessage: "machine id or public key unknown",
    });
    expect(await countEnrolments(database)).toBe(0);
    expect((await client.enrol({ hardwareReport: reportOf("SN-7") })).outcome).toMatchObject({
      case: "accepted",
      value: { machineId },
    });
  });

  test("a machine whose serial number is a placeholder is still itself", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    await database.db.insert(hardwareReport).values({
      machineId,
      reportedAt: new Date(),
      report: new Uint8Array(),
      serialNumber: "Default string",
    });
    const client = enrolmentClient(server, key);
    expect((await client.enrol({ hardwareReport: reportOf("SN-9") })).outcome.case).toBe("accepted");
  });
});

describe("strangers cannot fill the database", () => {
  /** Fills the table with agents that were seen one second apart, the first one longest ago. */
  async function fill(count: number, source: string): Promise<void> {
    await database.db.execute(sql`
      insert into machine_enrolment (public_key, source, address, last_seen_at, boot_id)
      select decode(md5(${source} || n) || md5(n || ${source}), 'hex'), ${source}, ${source},
             now() - make_interval(secs => 100000 - n), n
        from generate_series(1, ${count}::int) n`);
  }

  const bootIds = async (source: string) => {
    const { rows } = await database.db.execute<{ boot_id: string }>(
      sql`select boot_id from machine_enrolment where source = ${source} order by last_seen_at`,
    );
    return rows.map((row) => row.boot_id);
  };

  test("of one address a thousand wait, and the longest unseen makes way", async () => {
    await fill(1_000, "127.0.0.1");
    await fill(10, "192.0.2.1");
    const { key } = await knock(server, database, { bootId: "new" });
    const left = await bootIds("127.0.0.1");
    expect([left.length, left[0], left.at(-1)]).toEqual([1_000, "2", "new"]);
    expect(await bootIds("192.0.2.1")).toHaveLength(10);
    // One that asks again makes nobody go.
    await enrolmentClient(server, key).enrol({ bootId: "again" });
    expect(await bootIds("127.0.0.1")).toHaveLength(1_000);
  });

  test("in all ten thousand wait, and those that are machines' count for nothing", async () => {
    for (let network = 0; network < 10; network++) await fill(1_000, `192.0.2.${network}`);
    const { machineId } = await machineWithAgent(database.db);
    await database.db.insert(machineEnrolment).values({
      publicKey: (await generateAgentKey()).publicKey,
      state: "approved",
      machineId,
      source: "127.0.0.1",
      address: "127.0.0.1",
      lastSeenAt: new Date(0),
    });
    await knock(server, database, { bootId: "new" });
    expect(await countEnrolments(database)).toBe(10_001);
    expect(await bootIds("127.0.0.1")).toEqual([null, "new"]);
  });

  test("the bounds hold for many that come at once", async () => {
    const bounds = { maxPerSource: 5, maxInAll: 8 };
    const wish = (source: string, publicKey: Uint8Array) => ({
      ...{ publicKey, source, address: source, signatureNonce: null, agentVersion: null, bootId: null, report: null },
      ...{ manufacturer: null, product: null, serialNumber: null, systemUuid: null, macAddresses: [], identifiers: [] },
      ...{ memoryBytes: null, cpuThreads: null, diskBytes: null },
    });
    const keys = await Promise.all(Array.from({ length: 40 }, () => generateAgentKey()));
    await Promise.all(
      keys.map(({ publicKey }, index) =>
        transact(database.db, (tx) => enrol(tx, wish(index % 2 === 0 ? "a" : "b", publicKey), { bounds })),
      ),
    );
    expect(await countEnrolments(database)).toBe(8);
    for (const source of ["a", "b"]) expect((await bootIds(source)).length).toBeLessThanOrEqual(5);
  });
});

test("an agent that waits is no known agent: its heartbeats are a stranger's", async () => {
  const { key } = await knock(server, database);
  using agent = grpcAgent(server, key);
  expect(await codeOf(agent.heartbeat({ machineId: randomUUID() }))).toBe("Unauthenticated");
  // A large body of a stranger is not decoded.
  const large = reportOf("SN", { blockDevice: Array.from({ length: 500 }, () => ({ deviceModel: "m".repeat(30) })) });
  expect(await codeOf(agent.heartbeat({ machineId: randomUUID(), hardwareReport: large }))).toBe("Unauthenticated");
});
