/** Events of issues: told when one begins and when it ends, once, and across restarts of the server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { clearHolds, setHolds } from "../../src/db/queries/machine-hold.ts";
import { transact } from "../../src/db/transact.ts";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { allowLoopback, createReceiver } from "../support/receivers.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { startReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer(database.url, allowLoopback);
  return () => server.close();
});

const typesOf = ({ messages }: WebhookReceiver, machineId: string) =>
  messages.filter((message) => message.machineId === machineId).map(({ type }) => type);

test("an issue is told when it begins and when it ends, in its own words", { timeout: 180_000 }, async () => {
  const before = await issueSituations.never_heartbeated.make(db);
  const receiver = await startReceiver();
  await createReceiver(db, server.adminUrl, { name: "issues", url: receiver.url, events: ["issue.*"] });
  await compareNow(db);
  const machineId = await issueSituations.installation_failed.make(db);
  await waitUntil("it is told", () => typesOf(receiver, machineId).includes("issue.opened"));
  const [opened] = receiver.messages;
  expect(opened).toMatchObject({
    type: "issue.opened",
    machineId,
    data: {
      text: expect.stringContaining("the last installation failed"),
      issue: { type: "installation_failed", severity: "warning", target: "", summary: "the last installation failed" },
    },
  });
  // Muting takes the machine out of the issues, and what was there before the receiver is not told.
  const hold = { machineId, reason: "bench", ticket: null, isMuted: true, end: undefined };
  await transact(db, (tx) => setHolds(tx, [hold], "test"));
  await waitUntil("its end is told", () => typesOf(receiver, machineId).includes("issue.closed"));
  expect(typesOf(receiver, before)).toEqual([]);

  // While no server runs, it begins again; the next one finds out.
  await server.close();
  await transact(db, (tx) => clearHolds(tx, [{ machineId }], "test"));
  server = await startTestServer(database.url, allowLoopback);
  await waitUntil("it is told again", () => typesOf(receiver, machineId).length === 3);
  expect(typesOf(receiver, machineId)).toEqual(["issue.opened", "issue.closed", "issue.opened"]);
  const ids = receiver.messages.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
