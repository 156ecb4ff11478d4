/** The order of the deliveries of one machine to one receiver, whatever happens to them. */
import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { resendDeliveries } from "../../../src/db/queries/kept-delivery.ts";
import { type DueDelivery, listDueDeliveries, recordAttempt } from "../../../src/db/queries/receiver-delivery.ts";
import { receiver, receiverDelivery } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase } from "../../support/database.ts";
import { endWaits } from "../../support/receivers.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());

const listDue = async () => {
  await endWaits(db, "r");
  return await listDueDeliveries(db, []);
};

const record = (delivery: DueDelivery | undefined, error: string | null) =>
  transact(db, (tx) =>
    recordAttempt(
      tx,
      delivery as DueDelivery,
      { atMs: 0, durationMs: 1, status: error === null ? 200 : 500, error, answer: "" },
      { deliveryMs: 5_000, receiverMs: 0 },
    ),
  );

test("an earlier message that is resent while a later one is under way is sent alone, though both fail", async () => {
  const [made] = await db
    .insert(receiver)
    .values({ name: "r", url: "https://r.example/", events: ["*"], createdBy: "test" })
    .returning();
  const values = {
    receiverId: made?.id ?? "",
    machineId: randomUUID(),
    eventType: "machine.created",
    eventAt: new Date(),
    payload: "{}",
  };
  await db.insert(receiverDelivery).values([
    { ...values, id: "earlier", state: "given_up", endedAt: new Date() },
    { ...values, id: "later", nextAttemptAt: new Date() },
  ]);
  const [later] = await listDue();
  await transact(db, (tx) => resendDeliveries(tx, "r", ["earlier"]));
  await record(later, "answered 500");
  const [earlier, ...others] = await listDue();
  expect([earlier?.id, ...others]).toEqual(["earlier"]);
  await record(earlier, "answered 500");
  expect((await listDue()).map(({ id }) => id)).toEqual(["earlier"]);
  await record(earlier, null);
  expect((await listDue()).map(({ id }) => id)).toEqual(["later"]);
});
