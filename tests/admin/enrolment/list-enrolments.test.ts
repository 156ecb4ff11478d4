/** What operators see of enrolments: lists, filters, one with its hardware, those that resemble another, watches. */
import { randomUUID } from "node:crypto";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { knock, reportOf } from "../../support/enrolments.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const [viewer, operator] = await Promise.all([tokenOf(database.db, "viewer"), tokenOf(database.db, "operator")]);
const enrolments = adminClient(EnrolmentService, server.adminUrl, viewer.secret);
const decisions = adminClient(EnrolmentService, server.adminUrl, operator.secret);
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

const idsOf = (answer: { enrolments: readonly { id: string }[] }) => answer.enrolments.map(({ id }) => id);

test("a list is newest first, and continues page by page, whatever comes and goes between the pages", async () => {
  const ids: string[] = [];
  for (let count = 0; count < 5; count++) ids.unshift((await knock(server, database)).enrolmentId);
  const filter = { enrolmentIds: ids };
  const first = await enrolments.listEnrolments({ filter, pageSize: 2 });
  expect(idsOf(first)).toEqual(ids.slice(0, 2));
  await decisions.forgetEnrolment({ enrolmentId: ids[1] as string });
  await knock(server, database);
  const second = await enrolments.listEnrolments({ filter, pageSize: 2, pageToken: first.nextPageToken });
  const third = await enrolments.listEnrolments({ filter, pageSize: 2, pageToken: second.nextPageToken });
  expect([...idsOf(second), ...idsOf(third)]).toEqual(ids.slice(2));
  expect(third.nextPageToken).toBe("");
  const { nextPageToken: pageToken } = first;
  expect(await errorOf(enrolments.listEnrolments({ pageToken }))).toMatchObject({ fields: ["page_token"] });
});

test("those with one time are all listed", async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, async () => (await knock(server, database)).enrolmentId));
  await database.db.execute(sql`update machine_enrolment set first_seen_at = '2026-01-01 00:00:00.123456Z'
    where id in ${ids}`);
  const seen: string[] = [];
  for (let pageToken = "", isFirst = true; isFirst || pageToken !== ""; isFirst = false) {
    const page = await enrolments.listEnrolments({ filter: { enrolmentIds: ids }, pageSize: 2, pageToken });
    seen.push(...idsOf(page));
    pageToken = page.nextPageToken;
  }
  expect(seen.toSorted()).toEqual(ids.toSorted());
});

test("each condition of a filter selects", async () => {
  const serialNumber = `SN-${randomUUID()}`;
  const hardwareReport = reportOf(serialNumber, { manufacturer: "Ibex", product: "I9" });
  const one = await knock(server, database, { hardwareReport });
  const other = await knock(server, database, { hardwareReport: reportOf(`SN-${randomUUID()}`) });
  const enrolmentIds = [one.enrolmentId, other.enrolmentId];
  await decisions.rejectEnrolment({ enrolmentId: other.enrolmentId });
  await database.db.execute(sql`update machine_enrolment set first_seen_at = now() - interval '2 h'
    where id = ${one.enrolmentId}`);
  const matching = async (filter: object) =>
    idsOf(await enrolments.listEnrolments({ filter: { enrolmentIds, ...filter } }));
  for (const filter of [
    { states: [EnrolmentState.WAITING] },
    { serialNumber: serialNumber.toLowerCase() },
    { manufacturer: "Ibex" },
    { product: "I9" },
    { minAge: durationFromMs(3_600_000) },
    { enrolmentIds: [one.enrolmentId.toUpperCase()] },
  ]) {
    expect(
      await matching(filter),
      JSON.stringify(filter, (_, value) => value?.toString()),
    ).toEqual([one.enrolmentId]);
  }
  expect(await matching({ address: "127.0.0.1" })).toEqual([other.enrolmentId, one.enrolmentId]);
  expect(await matching({ address: "::ffff:127.0.0.1" })).toHaveLength(2);
  expect(await matching({ address: "192.0.2.1" })).toEqual([]);
  expect(await matching({ states: [EnrolmentState.WAITING], product: "A1" })).toEqual([]);
});

test("one comes with the hardware that its agent reported", async () => {
  const hardwareReport = reportOf("SN-show", { memoryInstalledBytes: 1n << 34n, blockDevice: [{ capacityBytes: 7n }] });
  const { key, enrolmentId } = await knock(server, database, { hardwareReport, agentVersion: "1.0", bootId: "b" });
  const answer = await enrolments.getEnrolment({ enrolmentId });
  expect(answer.enrolment).toMatchObject({
    id: enrolmentId,
    state: EnrolmentState.WAITING,
    publicKey: key.publicKey,
    address: "127.0.0.1",
    agentVersion: "1.0",
    bootId: "b",
    manufacturer: "Acme",
    product: "A1",
    serialNumber: "SN-show",
    memoryBytes: 1n << 34n,
    diskBytes: 7n,
    machineId: "",
    decider: "",
    lookalikes: [],
  });
  expect(answer.report).toEqual(hardwareReport);
  expect(await errorOf(enrolments.getEnrolment({ enrolmentId: randomUUID() }))).toMatchObject({ code: "NotFound" });
});

describe("those that resemble another are shown as such", () => {
  test("a machine, and another agent that waits, with the same serial number, UUID or address", async () => {
    const serialNumber = `SN-${randomUUID()}`;
    const mac = Buffer.from("02deadbe0001", "hex");
    const { machineId, key } = await machineWithAgent(database.db);
    using agent = grpcAgent(server, key);
    await agent.heartbeat({
      machineId,
      hardwareReport: reportOf(serialNumber, {
        systemUuid: "00112233-4455-6677-8899-aabbccddee01",
        networkInterface: [{ mac }],
      }),
    });
    const one = await knock(server, database, { hardwareReport: reportOf(` ${serialNumber.toLowerCase()} `) });
    const two = await knock(server, database, {
      hardwareReport: reportOf(serialNumber, {
        systemUuid: "33221100-5544-7766-8899-aabbccddee01",
        networkInterface: [{ mac }],
      }),
    });
    const lookalikesOf = async (enrolmentId: string) =>
      (await enrolments.getEnrolment({ enrolmentId })).enrolment?.lookalikes.map((each) => ({
        id: each.machineId || each.enrolmentId,
        identifiers: each.identifiers.toSorted(),
      }));
    const identifiers = ["serial_number"];
    expect(await lookalikesOf(one.enrolmentId)).toEqual([
      { id: machineId, identifiers },
      { id: two.enrolmentId, identifiers },
    ]);
    expect(await lookalikesOf(two.enrolmentId)).toEqual([
      { id: machineId, identifiers: ["mac", "serial_number", "system_uuid"] },
      { id: one.enrolmentId, identifiers },
    ]);
    await decisions.rejectEnrolment({ enrolmentId: two.enrolmentId });
    expect(await lookalikesOf(one.enrolmentId)).toEqual([{ id: machineId, identifiers }]);
  });

  test("an approved one does not resemble its own machine", async () => {
    const serialNumber = `SN-${randomUUID()}`;
    const { key, enrolmentId } = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
    const { machine } = await decisions.approveEnrolment({ enrolmentId });
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId: machine?.id as string, hardwareReport: reportOf(serialNumber) });
    expect((await enrolments.getEnrolment({ enrolmentId })).enrolment?.lookalikes).toEqual([]);
  });
});

describe("a watch of machines", () => {
  const isAbout = (enrolmentId: string) => (event: { enrolmentId: string }) => event.enrolmentId === enrolmentId;

  test("reports enrolments where it is asked to: the one that waits, and what becomes of it", async () => {
    await using watch = await startWatch(machines, { enrolments: true });
    await using plain = await startWatch(machines);
    const { client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf("SN-watch") });
    const kindsOf = () => watch.events.filter(isAbout(enrolmentId)).map(({ kind }) => kind);
    await waitUntil("it is seen waiting", () => kindsOf().includes("enrolment_waiting"));
    expect(watch.events.find(isAbout(enrolmentId))).toMatchObject({
      machineId: "",
      actor: "",
      enrolment: { id: enrolmentId, serialNumber: "SN-watch" },
    });
    await client.enrol({ hardwareReport: reportOf("SN-watch") });
    await decisions.rejectEnrolment({ enrolmentId });
    const { machine } = await decisions.approveEnrolment({ enrolmentId });
    const machineId = machine?.id as string;
    await watch.waitFor(machineId, "machine_enrolled");
    expect(kindsOf()).toEqual(["enrolment_waiting", "enrolment_rejected", "enrolment_approved"]);
    expect(watch.events.findLast(isAbout(enrolmentId))).toMatchObject({
      actor: `token:${operator.name}`,
      detail: { machineId },
      enrolment: { state: EnrolmentState.APPROVED, machineId },
    });
    await plain.waitFor(machineId, "machine_enrolled");
    expect(plain.events.filter(({ kind }) => kind.startsWith("enrolment_"))).toEqual([]);
  });

  test("resumes from a token, and shows what has gone without the enrolment", async () => {
    const { watchToken } = await machines.listMachines({ pageSize: 1 });
    const { enrolmentId } = await knock(server, database);
    await decisions.forgetEnrolment({ enrolmentId });
    await using watch = await startWatch(machines, { enrolments: true, resumeToken: watchToken });
    const seen = await waitUntil("it is seen forgotten", () =>
      watch.events.find((event) => event.enrolmentId === enrolmentId && event.kind === "enrolment_forgotten"),
    );
    expect(seen.enrolment).toBeUndefined();
  });
});
