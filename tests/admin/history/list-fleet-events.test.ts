/** The history of the whole fleet: its order, its pages, and every condition. */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type Event,
  HistoryService,
  type ListEventsRequestSchema,
} from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { LabelOperator, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { encodePageToken } from "../../../src/admin/page-token.ts";
import { type HistoryKind, historyKinds } from "../../../src/contract/history-kinds.ts";
import { appendHistory } from "../../../src/db/queries/machine-history.ts";
import { setLabels } from "../../../src/db/queries/machine-label.ts";
import { machine, machineHistory } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const viewer = await tokenOf(db, "viewer");
const history = adminClient(HistoryService, server.adminUrl, viewer.secret);

type Request = Omit<MessageInitShape<typeof ListEventsRequestSchema>, "$typeName" | "pageToken">;

beforeEach(async () => {
  await db.delete(machineHistory);
});

/** Returns the pages of a list, the first `limit` of them at most. */
async function listPages(request: Request, limit = 100): Promise<Event[][]> {
  const pages: Event[][] = [];
  for (let pageToken = ""; pages.length < limit; ) {
    const page = await history.listEvents({ ...request, pageToken });
    expect(page.events.length).toBeLessThanOrEqual(request.pageSize || 50);
    pages.push(page.events);
    pageToken = page.nextPageToken;
    if (pageToken === "") return pages;
  }
  throw new Error(`the list has more than ${limit} pages`);
}

const listAll = async (request: Request = {}) => (await listPages(request)).flat();
const numbersOf = (events: readonly Event[]) => events.map(({ detail }) => detail.number);

interface Entry {
  readonly machineId: string;
  readonly kind: HistoryKind;
  readonly actor: string;
  /** As PostgreSQL reads it. */
  readonly at: string;
}

const defaults: Entry = {
  machineId: randomUUID(),
  kind: "agent_booted",
  actor: "agent:00",
  at: "2026-03-01T12:00:00Z",
};

/** Adds events, in the order of their ids, each told from the others by its number, from 1 up. */
async function addEvents(entries: readonly Partial<Entry>[]): Promise<void> {
  const whole = entries.map((entry) => ({ ...defaults, ...entry }));
  await db.$client.query(
    `insert into machine_history (machine_id, kind, actor, at, detail)
     select machine_id, kind, actor, at, jsonb_build_object('number', number::text)
       from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) with ordinality
         as entry (machine_id, kind, actor, at, number) order by number`,
    [whole.map((e) => e.machineId), whole.map((e) => e.kind), whole.map((e) => e.actor), whole.map((e) => e.at)],
  );
}

async function labelledMachine(rack: string): Promise<string> {
  const machineId = await bareMachine(db);
  await transact(db, (tx) => setLabels(tx, [{ machineId, labels: { rack } }], "test"));
  return machineId;
}

const ofRack = (value: string) => ({ labels: [{ key: "rack", operator: LabelOperator.EQUALS, value }] });

test("tells what happened to every machine and enrolment, newest first", async () => {
  const [first, second, enrolmentId] = [await bareMachine(db), await bareMachine(db), randomUUID()];
  const entry = { machineId: enrolmentId, actor: "token:test", kind: "enrolment_rejected" as const, detail: {} };
  await transact(db, (tx) => appendHistory(tx, [entry]));
  const events = await listAll();
  expect(events).toMatchObject([
    { kind: "enrolment_rejected", actor: "token:test", machineId: "", enrolmentId },
    { kind: "machine_created", machineId: second, enrolmentId: "" },
    { kind: "machine_created", machineId: first, enrolmentId: "" },
  ]);
  expect(new Set(events.map(({ id }) => id)).size).toBe(3);
  expect((await history.listEvents({ machineId: first })).events).toEqual(events.slice(2));
  expect(await listAll({ machineId: enrolmentId })).toEqual(events.slice(0, 1));
});

test("a watch reports an event under the id that the list has", async () => {
  await using watch = await startWatch(adminClient(MachineService, server.adminUrl, viewer.secret));
  const machineId = await bareMachine(db);
  const change = await watch.waitFor(machineId, "machine_created");
  expect(await listAll()).toMatchObject([{ machineId, id: change.eventId }]);
});

test.each([1, 2, 3, 7, 8, 1000, 0])("gives all events exactly once in pages of %s", async (pageSize) => {
  // Four of one transaction, two that differ by a microsecond, and one that began before others and wrote after them.
  const at = (time: string) => ({ at: `2026-03-01 12:00:${time}+00`, machineId: randomUUID() });
  await addEvents([at("01"), at("01"), at("01"), at("01"), at("02.000001"), at("02.000002"), at("00.5")]);
  expect(numbersOf(await listAll({ pageSize }))).toEqual(["6", "5", "4", "3", "2", "1", "7"]);
});

test("gives events exactly once whatever times the database has", async () => {
  const times = ["infinity", "infinity", "12345-01-01Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.500001Z"];
  const early = ["0044-03-15 12:00:00.25 BC", "4713-01-01 00:00:00+00 BC", "-infinity", "-infinity"];
  await addEvents([...times, ...early].map((at) => ({ at })));
  expect(numbersOf(await listAll({ pageSize: 1 }))).toEqual(["2", "1", "3", "4", "5", "6", "7", "9", "8"]);
});

test("what happens in between moves no page, nor does what retention deletes", async () => {
  await addEvents([1, 2, 3, 4].map((second) => ({ at: `2026-03-01T12:00:0${second}Z` })));
  const first = await history.listEvents({ pageSize: 2 });
  await addEvents([{ at: "2026-03-01T12:00:05Z" }]);
  await db.$client.query(`delete from machine_history where detail ->> 'number' = '3'`);
  const second = await history.listEvents({ pageSize: 2, pageToken: first.nextPageToken });
  expect(numbersOf([...first.events, ...second.events])).toEqual(["4", "3", "2", "1"]);
});

test("filters by actor, whole or by its beginning", async () => {
  const actors = ["token:ann", "token:anna", "oidc:ann", "agent:00", "oidc:100%_*", "token:ann"];
  await addEvents(actors.map((actor) => ({ actor })));
  const by = async (...wanted: string[]) => numbersOf(await listAll({ actors: wanted }));
  expect(await by("token:ann")).toEqual(["6", "1"]);
  expect(await by("token:*")).toEqual(["6", "2", "1"]);
  expect(await by("token:ann*", "oidc:ann")).toEqual(["6", "3", "2", "1"]);
  expect(await by("oidc:100%_*")).toEqual(["5"]);
  expect(await by("oidc:%")).toEqual([]);
  expect(await by("*")).toHaveLength(6);
});

test("filters by time: from the start on, and before the end", async () => {
  await addEvents([1, 2, 3].map((second) => ({ at: `2026-03-01T12:00:0${second}.000001Z` })));
  const at = (second: number, nanos = 0) => ({ seconds: BigInt(Date.UTC(2026, 2, 1, 12) / 1000 + second), nanos });
  const of = async (request: Request) => [
    numbersOf(await listAll(request)),
    numbersOf(await listAll({ ...request, machineId: defaults.machineId })),
  ];
  const both = (...numbers: string[]) => [numbers, numbers];
  expect(await of({ startTime: at(2, 1000) })).toEqual(both("3", "2"));
  expect(await of({ startTime: at(2, 2000) })).toEqual(both("3"));
  expect(await of({ endTime: at(2, 1000) })).toEqual(both("1"));
  expect(await of({ endTime: at(2, 2000) })).toEqual(both("2", "1"));
  expect(await of({ startTime: at(1, 1000), endTime: at(3) })).toEqual(both("2", "1"));
  expect(await of({ startTime: at(4) })).toEqual(both());
  const [first = defaults] = await listAll({ startTime: at(3) });
  expect(
    numbersOf(await listAll({ startTime: (first as Event).eventTime as NonNullable<Event["eventTime"]> })),
  ).toEqual(["3"]);
});

test("filters by the machines as they are now, and by ids also what was deleted", async () => {
  const [red, blue, gone] = [await labelledMachine("red"), await labelledMachine("blue"), randomUUID()];
  await db.delete(machineHistory);
  await addEvents([red, blue, gone, red].map((machineId) => ({ machineId })));
  const of = async (request: Request) => numbersOf(await listAll(request));
  expect(await of({ filter: ofRack("red") })).toEqual(["4", "1"]);
  expect(await of({ filter: { labels: [{ key: "team", operator: LabelOperator.MISSING }] } })).toEqual(["4", "2", "1"]);
  expect(await of({ filter: { held: false } })).toEqual(["4", "2", "1"]);
  expect(await of({ filter: { minHeartbeatAge: { seconds: 1n } } })).toEqual(["4", "2", "1"]);
  expect(await of({ filter: { machineIds: [gone, blue.toUpperCase()] } })).toEqual(["3", "2"]);
  expect(await of({ filter: { machineIds: [gone, blue], ...ofRack("blue") } })).toEqual(["2"]);
  expect(await of({ machineId: red, filter: ofRack("blue") })).toEqual([]);
  expect(await of({ machineId: red, filter: ofRack("red") })).toEqual(["4", "1"]);
  expect(await of({ filter: {} })).toHaveLength(4);
});

test("finds what any conditions together let pass, in pages of any size", async () => {
  const machines = [
    await labelledMachine("red"),
    await labelledMachine("red"),
    await labelledMachine("blue"),
    randomUUID(),
  ];
  const racks = new Map(machines.map((id, index) => [id, ["red", "red", "blue"][index]]));
  await db.delete(machineHistory);
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const pick = <T>(of: readonly T[]) => of[random(of.length)] as T;
  const kinds = historyKinds.slice(0, 4);
  const actors = ["token:a", "token:b", "agent:00"];
  const startMs = Date.UTC(2026, 2, 1);
  const entries = Array.from({ length: 400 }, () => ({
    machineId: pick(machines),
    kind: pick(kinds),
    actor: pick(actors),
    at: new Date(startMs + random(50) * 1000).toISOString(),
  }));
  await addEvents(entries);
  let found = 0;
  for (let run = 0; run < 30; run += 1) {
    const machineId = random(3) === 0 ? pick(machines) : "";
    const ownKinds = random(2) === 0 ? [pick(kinds), pick(kinds)] : [];
    const actor = pick(["", "token:a", "token:*"]);
    const rack = pick(["", "", "red"]);
    const [fromMs, toMs] = [startMs + random(30) * 1000, startMs + (30 + random(30)) * 1000];
    const isFrom = random(2) === 0;
    const expected = entries
      .map((entry, index) => ({ ...entry, number: index + 1, atMs: Date.parse(entry.at) }))
      .filter((entry) => machineId === "" || entry.machineId === machineId)
      .filter((entry) => ownKinds.length === 0 || ownKinds.includes(entry.kind))
      .filter((entry) => actor === "" || entry.actor === actor || (actor === "token:*" && entry.actor !== "agent:00"))
      .filter((entry) => rack === "" || racks.get(entry.machineId) === rack)
      .filter((entry) => entry.atMs < toMs && (!isFrom || entry.atMs >= fromMs))
      .toSorted((a, b) => (machineId === "" ? b.atMs - a.atMs : 0) || b.number - a.number);
    const events = await listAll({
      machineId,
      kinds: ownKinds,
      actors: actor === "" ? [] : [actor],
      ...(rack !== "" && { filter: ofRack(rack) }),
      ...(isFrom && { startTime: timestampFromDate(new Date(fromMs)) }),
      endTime: timestampFromDate(new Date(toMs)),
      pageSize: pick([17, 60, 400]),
    });
    expect(numbersOf(events)).toEqual(expected.map(({ number }) => number.toString()));
    for (const { eventTime } of events) expect(eventTime && timestampDate(eventTime).getTime()).toBeLessThan(toMs);
    found += events.length;
  }
  expect(found).toBeGreaterThan(300);
});

describe("a page that looks for what is rare", () => {
  test("ends after ten thousand events, and says where the next one continues", async () => {
    const many = Array.from({ length: 10_000 }, () => ({}));
    await addEvents([{ kind: "machine_deleted" }, { kind: "machine_deleted" }, ...many]);
    const [empty, full, ...more] = await listPages({ kinds: ["machine_deleted"] });
    expect([empty, numbersOf(full ?? []), more]).toEqual([[], ["2", "1"], []]);
    const ofOne = await listPages({ kinds: ["machine_deleted"], machineId: defaults.machineId });
    expect(ofOne.map(numbersOf)).toEqual([[], ["2", "1"]]);
  });

  test("ends after a thousand events whose machines it tests, of those that pass the other conditions", async () => {
    const [red, blue] = [await labelledMachine("red"), await labelledMachine("blue")];
    await db.delete(machineHistory);
    const many = Array.from({ length: 1500 }, (_, index) => ({ machineId: index === 700 ? red : blue }));
    await addEvents([{ machineId: red }, ...many]);
    const pages = await listPages({ filter: ofRack("red") });
    expect(pages.map(numbersOf)).toEqual([["702"], ["1"]]);
    expect(await listPages({ filter: ofRack("red"), pageSize: 1000, kinds: ["agent_booted"] })).toHaveLength(2);
    expect((await listPages({ filter: ofRack("red"), kinds: ["machine_held"] })).map(numbersOf)).toEqual([[]]);
  });
});

describe("refuses", () => {
  const list = (request: Request & { pageToken?: string }) => errorOf(history.listEvents(request));

  test("a kind that there is not, and says which is meant", async () => {
    const error = await list({ kinds: ["machine_held", "machine_hold"] });
    expect(error).toMatchObject({ code: "InvalidArgument", fields: ["kinds[1]"] });
    expect(error.message).toContain("did you mean machine_held?");
  });

  test("an end that is not later than the start", async () => {
    const time = { seconds: 5n, nanos: 0 };
    const refused = { code: "InvalidArgument", fields: ["end_time"] };
    expect(await list({ startTime: time, endTime: time })).toMatchObject(refused);
    expect(await list({ startTime: { seconds: 6n }, endTime: time })).toMatchObject(refused);
  });

  test("a token of a list with other conditions, and what is none", async () => {
    await addEvents([{}, {}]);
    const { nextPageToken: pageToken } = await history.listEvents({ pageSize: 1 });
    const refused = { code: "InvalidArgument", fields: ["page_token"] };
    for (const request of [
      { machineId: defaults.machineId },
      { kinds: ["agent_booted"] },
      { actors: ["agent:00"] },
      { filter: { held: true } },
      { startTime: { seconds: 1n } },
      { endTime: { seconds: 1n } },
    ]) {
      expect(await list({ ...request, pageToken })).toMatchObject(refused);
    }
    expect((await list({ pageToken, pageSize: 7 })).code).toBe("ok");
    const forged = (...key: string[]) => list({ pageToken: encodePageToken(["events", ""], key) });
    for (const key of [
      ["5"],
      ["5", ""],
      ["5", "1.5"],
      ["5", "NaN"],
      ["5", "9999999999999.000000"],
      ["0", "1.000000"],
    ]) {
      expect(await forged(...key)).toMatchObject(refused);
    }
    for (const time of ["-210866803199.999999", "9224318015998.999999", "Infinity", "-0.500000"]) {
      expect((await forged("5", time)).code).toBe("ok");
    }
  });
});

test("machines that are no more keep their events", async () => {
  const machineId = await bareMachine(db);
  await db.delete(machine);
  expect(await listAll({ filter: { machineIds: [machineId] } })).toHaveLength(1);
});
