/** However much there is to do, the dispatcher keeps its lease, and nobody takes over. Real processes do the work. */
import { sql } from "drizzle-orm";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { allowLoopback, createReceiver } from "../support/receivers.ts";
import { startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { startReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());

const machines = 50_000;
const longMs = 240_000;

async function count(condition: string): Promise<number> {
  const { rows } = await db.execute<{ found: number }>(
    sql.raw(`select count(*)::int as found from receiver_delivery where ${condition}`),
  );
  return rows[0]?.found ?? 0;
}

test("50,000 issues, 50,000 deliveries to hurry and 50,000 to delete leave the lease where it is", {
  timeout: 600_000,
}, async () => {
  const start = () => startServerProcess({ DATABASE_URL: database.url, ...allowLoopback });
  const [first, second] = [await start(), await start()];
  onTestFinished(async () => void (await Promise.all([first.stop(), second.stop()])));
  const leads = () =>
    [...first.logged, ...second.logged].filter(({ msg }) => msg === "this process sends events to receivers").length;
  const receiver = await startReceiver();
  const name = "huge";
  await createReceiver(db, first.adminUrl, { name, url: receiver.url, events: ["issue.*"] });
  await waitUntil("one is the dispatcher", () => leads() === 1);
  // It does not send meanwhile.
  await db.execute(sql`update receiver set retry_at = now() + interval '1 hour'`);
  await compareNow(db);
  for (let made = 0; made < machines; made += 5_000) {
    await db.execute(sql`
      with created as (
        insert into machine (id, created_at) select gen_random_uuid(), now() from generate_series(1, 5000) returning id
      )
      insert into agent_started (machine_id, started_at, public_key)
      select id, now() - interval '15 minutes', sha256(id::text::bytea) from created`);
  }
  await db.execute(sql`analyze`);
  await waitUntil("all issues are deliveries", async () => (await count("true")) === machines, longMs);
  expect(leads()).toBe(1);

  // All of them failed once, and so did the receiver until now.
  await db.execute(sql`update receiver_delivery set next_attempt_at = now() + interval '1 hour'`);
  await db.execute(sql`update receiver set failures = 5, retry_at = null`);
  await waitUntil("none waits any more", async () => (await count("next_attempt_at > now()")) === 0, longMs);
  expect(leads()).toBe(1);

  const { secret } = await tokenOf(db, "admin");
  await adminClient(ReceiverService, first.adminUrl, secret).deleteReceiver({ name });
  await waitUntil("all deliveries are deleted", async () => (await count("true")) === 0, longMs);
  await waitUntil("that is noted", async () => (await db.execute(sql`select from deleted_receiver`)).rows.length === 0);
  expect(leads()).toBe(1);
});
