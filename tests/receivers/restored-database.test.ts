/** A database that was restored from a dump of another server: receivers get what they had not, under the old ids. */
import { sql } from "drizzle-orm";
import { afterAll, expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { bareMachine } from "../support/machine.ts";
import { allowLoopback, createReceiver, readDeliveries, recordEvent } from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { startReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());

test("continues where the dump was made, though the transactions of the new server have lower numbers", async () => {
  const receiver = await startReceiver();
  const first = await startTestServer(database.url, allowLoopback);
  await createReceiver(db, first.adminUrl, { name: "r", url: receiver.url, events: ["machine.labelled"] });
  const machineId = await bareMachine(db);
  await recordEvent(db, machineId, 1);
  await receiver.waitFor(1);
  await waitUntil("it is recorded", async () => (await readDeliveries(database, "r"))[0]?.state === "delivered");
  await first.close();
  await recordEvent(db, machineId, 2);
  // The other server's numbers were far ahead.
  const ahead = sql`(transaction::text::bigint + 1000000000)::text::xid8`;
  await db.execute(sql`update machine_history set transaction = ${ahead}`);
  await db.execute(sql`update receiver_dispatch set transaction = ${ahead}`);
  await db.execute(sql`update receiver set from_snapshot = '2000000000:2000000000:'`);

  await using _second = await startTestServer(database.url, allowLoopback);
  await recordEvent(db, machineId, 3);
  await receiver.waitFor(3);
  const numbers = receiver.messages.map(({ data }) => (data.detail as { number: string }).number);
  expect(numbers).toEqual(["1", "2", "3"]);
  const ids = receiver.messages.map(({ id }) => id);
  expect((await readDeliveries(database, "r")).map(({ id }) => id)).toEqual(ids);
});

test("an event that is read again has the id that the receiver knows", async () => {
  const receiver = await startReceiver();
  const first = await startTestServer(database.url, allowLoopback);
  await createReceiver(db, first.adminUrl, { name: "again", url: receiver.url, events: ["machine.labelled"] });
  const machineId = await bareMachine(db);
  await recordEvent(db, machineId, 1);
  await receiver.waitFor(1);
  await first.close();
  // As in a backup from before: nothing is known of the delivery, and the position is before the event.
  await db.execute(sql`delete from receiver_delivery`);
  await db.execute(sql`update receiver_dispatch set transaction = '3', history_id = 0`);
  await using _second = await startTestServer(database.url, allowLoopback);
  await receiver.waitFor(2);
  expect(receiver.messages.map(({ id }) => id)).toEqual([receiver.messages[0]?.id, receiver.messages[0]?.id]);
});
