import { randomUUID } from "node:crypto";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { type Event, HistoryService } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { appendHistory } from "../../../src/db/queries/machine-history.ts";
import { machine } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, machineWithAgent, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const history = adminClient(HistoryService, server.adminUrl, viewer.secret);

async function listAll(machineId: string, pageSize: number): Promise<Event[]> {
  const events: Event[] = [];
  for (let pageToken = ""; ; ) {
    const page = await history.listEvents({ machineId, pageSize, pageToken });
    expect(page.events.length).toBeLessThanOrEqual(pageSize || 50);
    events.push(...page.events);
    pageToken = page.nextPageToken;
    if (pageToken === "") return events;
  }
}

/** A machine with `count` events after its creation, each told from the others by its detail. */
async function machineWithEvents(count: number): Promise<string> {
  const machineId = await bareMachine(database.db);
  const entry = (number: number) => ({
    machineId,
    actor: "test",
    kind: "machine_provided" as const,
    detail: { number: number.toString(), location: null },
  });
  const entries = Array.from({ length: count }, (_, index) => entry(index + 1));
  await transact(database.db, (tx) => appendHistory(tx, entries));
  return machineId;
}

test("tells what happened, newest first, with who did it and when", async () => {
  const before = Date.now();
  const { machineId, key } = await machineWithAgent(database.db);
  const operator = await tokenOf(database.db, "operator");
  const installations = adminClient(InstallationService, server.adminUrl, operator.secret);
  const target = { type: { case: "image", value: testImage } } as const;
  await installations.requestInstallation({ uncheckedDisk: true, machineId, target });
  await installations.cancelInstallation({ machineId });
  const { events, nextPageToken } = await history.listEvents({ machineId: machineId.toUpperCase() });
  expect(nextPageToken).toBe("");
  expect(events).toMatchObject([
    { kind: "installation_cancelled", actor: `token:${operator.name}`, detail: { generation: "1" } },
    { kind: "installation_requested", actor: `token:${operator.name}`, detail: { generation: "1" } },
    { kind: "agent_registered", actor: "test", detail: { publicKey: Buffer.from(key.publicKey).toString("hex") } },
    { kind: "machine_created", actor: "test", detail: {} },
  ]);
  for (const { eventTime } of events) {
    expect(eventTime && timestampDate(eventTime).getTime()).toBeGreaterThanOrEqual(before - 1000);
  }
});

test.each([1, 2, 3, 7, 8, 1000, 0])("gives all events exactly once in pages of %s", async (pageSize) => {
  const machineId = await machineWithEvents(7);
  const events = await listAll(machineId, pageSize);
  expect(events.map(({ detail }) => detail.number)).toEqual(["7", "6", "5", "4", "3", "2", "1", undefined]);
  expect(events[0]?.detail).toEqual({ number: "7" });
});

test("what happens in between moves no page", async () => {
  const machineId = await machineWithEvents(3);
  const first = await history.listEvents({ machineId, pageSize: 2 });
  const entry = { machineId, actor: "test", kind: "machine_provided" as const, detail: { number: "4" } };
  await transact(database.db, (tx) => appendHistory(tx, [entry]));
  const second = await history.listEvents({ machineId, pageSize: 2, pageToken: first.nextPageToken });
  const numbers = [...first.events, ...second.events].map(({ detail }) => detail.number);
  expect(numbers).toEqual(["3", "2", "1", undefined]);
});

test("works for a machine that was deleted, and for one of which nothing is kept", async () => {
  const machineId = await machineWithEvents(1);
  await database.db.delete(machine);
  expect(await listAll(machineId, 1)).toHaveLength(2);
  expect(await listAll(randomUUID(), 50)).toEqual([]);
});

describe("refuses", () => {
  test("what is wrong, field by field", async () => {
    const wrong = history.listEvents({ machineId: "nope", pageSize: 1001, pageToken: "a".repeat(1001) });
    expect(await errorOf(wrong)).toMatchObject({
      code: "InvalidArgument",
      fields: ["machine_id", "page_size", "page_token"],
    });
  });

  test("a token of another machine's list, and what is none", async () => {
    const machineId = await machineWithEvents(3);
    const { nextPageToken } = await history.listEvents({ machineId, pageSize: 1 });
    const list = (fields: object) => errorOf(history.listEvents({ machineId, ...fields }));
    const refused = { code: "InvalidArgument", fields: ["page_token"] };
    expect(await list({ machineId: randomUUID(), pageToken: nextPageToken })).toMatchObject(refused);
    expect(await list({ pageToken: nextPageToken.slice(1) })).toMatchObject(refused);
    expect(await list({ pageToken: "nope" })).toMatchObject(refused);
    expect((await list({ pageToken: nextPageToken })).code).toBe("ok");
  });

  test("nobody", async () => {
    const nobody = adminClient(HistoryService, server.adminUrl);
    expect(await codeOf(nobody.listEvents({ machineId: randomUUID() }))).toBe("Unauthenticated");
  });
});
