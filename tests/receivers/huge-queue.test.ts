/**
 * However much there is to do, the dispatcher does it in small transactions and keeps its lease, and nobody takes over.
 * Real processes do the work.
 */
import { setTimeout as delay } from "node:timers/promises";
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

/** Most deliveries that one transaction may write. */
const maxAtOnce = 2_000;

/** Has the database note how many deliveries each transaction writes. */
async function noteSteps(): Promise<void> {
  await db.execute(sql`create table test_step (transaction xid8 not null, written int not null)`);
  await db.execute(sql`
    create function note_step() returns trigger language plpgsql as $$
      begin
        insert into test_step select pg_current_xact_id(), count(*) from changed;
        return null;
      end $$`);
  for (const [event, table] of Object.entries({ insert: "new", update: "new", delete: "old" })) {
    await db.execute(
      sql.raw(`create trigger note_${event} after ${event} on receiver_delivery
        referencing ${table} table as changed for each statement execute function note_step()`),
    );
  }
}

/** Expects that all deliveries were written, by small transactions, since the last call. */
async function expectSmallSteps(): Promise<void> {
  const { rows } = await db.execute<{ most: number; all: number }>(sql`
    select max(written)::int as most, sum(written)::int as all
      from (select sum(written) as written from test_step group by transaction) step`);
  expect(rows[0]?.all).toBeGreaterThanOrEqual(machines);
  expect(rows[0]?.most).toBeLessThanOrEqual(maxAtOnce);
  await forgetSteps();
}

const forgetSteps = () => db.execute(sql`delete from test_step`);

/** Watches whether this machine or its database stands still for as long as a third of a lease. */
function watchStalls() {
  const stopping = new AbortController();
  let longestMs = 0;
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const beganMs = performance.now();
      await delay(100);
      await db.execute(sql`select`);
      longestMs = Math.max(longestMs, performance.now() - beganMs);
    }
  })();
  return {
    hasStalled: () => longestMs > 2_000,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await watching;
    },
  };
}

test("50,000 issues, 50,000 deliveries to hurry and 50,000 to delete leave the lease where it is", {
  timeout: 600_000,
}, async () => {
  const start = () => startServerProcess({ DATABASE_URL: database.url, ...allowLoopback });
  const [first, second] = [await start(), await start()];
  onTestFinished(async () => void (await Promise.all([first.stop(), second.stop()])));
  const leads = () =>
    [...first.logged, ...second.logged].filter(({ msg }) => msg === "this process sends events to receivers").length;
  // A machine that stands still ends leases, however small the steps are.
  await using stalls = watchStalls();
  const expectOneLeader = () => {
    if (!stalls.hasStalled()) expect(leads()).toBe(1);
  };
  const receiver = await startReceiver();
  const name = "huge";
  await createReceiver(db, first.adminUrl, { name, url: receiver.url, events: ["issue.*"] });
  await waitUntil("one is the dispatcher", () => leads() === 1);
  await noteSteps();
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
  await expectSmallSteps();
  expectOneLeader();

  // All of them failed once, and so did the receiver until now.
  await db.execute(sql`update receiver_delivery set next_attempt_at = now() + interval '1 hour'`);
  await forgetSteps();
  await db.execute(sql`update receiver set failures = 5, retry_at = null`);
  await waitUntil("none waits any more", async () => (await count("next_attempt_at > now()")) === 0, longMs);
  await expectSmallSteps();
  expectOneLeader();

  const { secret } = await tokenOf(db, "admin");
  await adminClient(ReceiverService, first.adminUrl, secret).deleteReceiver({ name });
  await waitUntil("all deliveries are deleted", async () => (await count("true")) === 0, longMs);
  await waitUntil("that is noted", async () => (await db.execute(sql`select from deleted_receiver`)).rows.length === 0);
  await expectSmallSteps();
  expectOneLeader();
});
