/** Creates receivers and events for tests, and reads and moves their deliveries. */
import { sql } from "drizzle-orm";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import type { Database } from "../../src/db/client.ts";
import { appendHistory } from "../../src/db/queries/machine-history.ts";
import { transact } from "../../src/db/transact.ts";
import type { TestDatabase } from "./database.ts";
import { observe } from "./observer.ts";
import { adminClient, tokenOf } from "./operator.ts";

/** Settings of a server that may call receivers on loopback. */
export const allowLoopback = { BMAAS_RECEIVER_ALLOW: "127.0.0.1" };

/** Creates a receiver, and returns its secret. */
export async function createReceiver(
  db: Database,
  adminUrl: string,
  receiver: { readonly name: string; readonly url: string; readonly events: string[] },
): Promise<string> {
  const { secret: token } = await tokenOf(db, "admin");
  const { secret } = await adminClient(ReceiverService, adminUrl, token).createReceiver(receiver);
  return secret;
}

/** Records an event of a machine, numbered so that tests can tell it. Waits for nothing. */
export async function recordEvent(db: Database, machineId: string, number: number): Promise<void> {
  const entry = { machineId, actor: "test", kind: "machine_labelled", detail: { number: String(number) } } as const;
  await transact(db, (tx) => appendHistory(tx, [entry]));
}

/** Reads the deliveries to a receiver, in their order. */
export async function readDeliveries(database: TestDatabase, name: string) {
  return [
    ...(await observe(database)<
      { id: string; machineId: string; state: string; attempts: number; nextAttemptAt: Date | null; payload: string }[]
    >`select delivery.* from receiver_delivery delivery join receiver on receiver.id = receiver_id
       where name = ${name} order by seq`),
  ];
}

/** Lets everything that waits for a receiver be sent now, as if the waits after failures were over. */
export async function endWaits(db: Database, name: string): Promise<void> {
  await db.execute(sql`update receiver set retry_at = null where name = ${name}`);
  await db.execute(sql`update receiver_delivery set next_attempt_at = now()
    where next_attempt_at is not null and receiver_id = (select id from receiver where name = ${name})`);
}

/** Lets a day go by for a receiver: its failures and everything that waits are a day older. */
export async function letDayPass(db: Database, name: string): Promise<void> {
  await db.execute(sql`
    update receiver set failing_since = failing_since - interval '1 day', gave_up_at = gave_up_at - interval '1 day'
     where name = ${name}`);
  await db.execute(sql`
    update receiver_delivery set tried_since = tried_since - interval '1 day', created_at = created_at - interval '1 day'
     where receiver_id = (select id from receiver where name = ${name})`);
}
