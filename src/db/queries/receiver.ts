/** Queries on receivers, as administrators manage them. */
import { asc, eq, getTableColumns, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { deletedReceiver, receiver, receiverDelivery, receiverSecret } from "../schema/index.ts";
import { isFailing } from "../schema/receiver.ts";
import { lockDispatch, startFromNow } from "./receiver-dispatch.ts";

/** A receiver as it is stored. */
export type ReceiverRow = typeof receiver.$inferSelect;

/** A receiver with what is known of its deliveries and secrets, for operators. */
export type ReceiverOverview = ReceiverRow & {
  /** Times at which its secrets were created, oldest first. */
  readonly secretTimes: readonly Date[];
  readonly isFailing: boolean;
  readonly waiting: bigint;
  readonly oldestWaitingAt: Date | null;
};

/** No receiver has this name. */
export class ReceiverNotFoundError extends Error {
  override readonly name = "ReceiverNotFoundError";
  constructor(name: string) {
    super(`no receiver is named ${name}`);
  }
}

/** A receiver has this name already. */
export class ReceiverExistsError extends Error {
  override readonly name = "ReceiverExistsError";
  constructor(name: string) {
    super(`there already is a receiver named ${name}: choose another name, or delete that one first`);
  }
}

/** There are as many receivers as there may be. */
export class TooManyReceiversError extends Error {
  override readonly name = "TooManyReceiversError";
  constructor() {
    super(`there are already ${maxReceivers} receivers: delete one first`);
  }
}

/** The receiver has as many secrets as it may have. */
export class TooManySecretsError extends Error {
  override readonly name = "TooManySecretsError";
  readonly receiverName: string;
  constructor(name: string) {
    super(`receiver ${name} already has ${maxSecrets} secrets: retire the old ones first`);
    this.receiverName = name;
  }
}

const maxReceivers = 50;
const maxSecrets = 4;

/**
 * Stores a new receiver with its first secret. It is sent whatever commits from now on. Throws ReceiverExistsError and
 * TooManyReceiversError.
 */
export async function insertReceiver(
  tx: Transaction,
  {
    secret,
    ...values
  }: Pick<ReceiverRow, "name" | "url" | "events" | "ca" | "createdBy"> & { readonly secret: string },
): Promise<ReceiverOverview> {
  // The lock makes creations run one after the other, and keeps the dispatcher from reading meanwhile.
  await lockDispatch(tx);
  const others = await tx.select({ id: receiver.id }).from(receiver);
  if (others.length >= maxReceivers) throw new TooManyReceiversError();
  // While there is no receiver, nobody reads events, and the position may be old.
  if (others.length === 0) await startFromNow(tx);
  const [row] = await tx
    .insert(receiver)
    .values(values)
    .onConflictDoNothing({ target: receiver.name })
    .returning({ id: receiver.id });
  if (row === undefined) throw new ReceiverExistsError(values.name);
  await tx.insert(receiverSecret).values({ receiverId: row.id, secret, createdBy: values.createdBy });
  return await getReceiver(tx, values.name);
}

/**
 * Deletes a receiver with its secrets. Nothing is sent to it any more; the dispatcher deletes its deliveries
 * afterwards, since there may be any number of them. Throws ReceiverNotFoundError.
 */
export async function deleteReceiver(tx: Transaction, name: string): Promise<void> {
  const [deleted] = await tx.delete(receiver).where(eq(receiver.name, name)).returning({ id: receiver.id });
  if (deleted === undefined) throw new ReceiverNotFoundError(name);
  await tx.insert(deletedReceiver).values(deleted);
}

/** Adds a secret to a receiver. Throws ReceiverNotFoundError and TooManySecretsError. */
export async function addReceiverSecret(
  tx: Transaction,
  { name, secret, createdBy }: { readonly name: string; readonly secret: string; readonly createdBy: string },
): Promise<ReceiverOverview> {
  const { id } = await lockReceiver(tx, name);
  const kept = await tx.select({ id: receiverSecret.id }).from(receiverSecret).where(eq(receiverSecret.receiverId, id));
  if (kept.length >= maxSecrets) throw new TooManySecretsError(name);
  await tx.insert(receiverSecret).values({ receiverId: id, secret, createdBy });
  return await getReceiver(tx, name);
}

/** Deletes all secrets of a receiver but the newest. Throws ReceiverNotFoundError. */
export async function retireReceiverSecrets(tx: Transaction, name: string): Promise<ReceiverOverview> {
  const { id } = await lockReceiver(tx, name);
  await tx.execute(sql`
    delete from ${receiverSecret}
     where receiver_id = ${id} and id < (select max(id) from ${receiverSecret} where receiver_id = ${id})`);
  return await getReceiver(tx, name);
}

/** Returns a receiver and its secrets, newest first, to send to it. Throws ReceiverNotFoundError. */
export async function getReceiverToCall(
  db: Database,
  name: string,
): Promise<Pick<ReceiverRow, "url" | "ca"> & { readonly secrets: readonly string[] }> {
  const rows = await db
    .select({ url: receiver.url, ca: receiver.ca, secret: receiverSecret.secret })
    .from(receiver)
    .innerJoin(receiverSecret, eq(receiverSecret.receiverId, receiver.id))
    .where(eq(receiver.name, name))
    .orderBy(sql`${receiverSecret.id} desc`);
  const [first] = rows;
  if (first === undefined) throw new ReceiverNotFoundError(name);
  return { url: first.url, ca: first.ca, secrets: rows.map(({ secret }) => secret) };
}

/** Locks a receiver's row until the transaction ends, and returns its id. Throws ReceiverNotFoundError. */
export async function lockReceiver(tx: Transaction, name: string): Promise<Pick<ReceiverRow, "id">> {
  const [row] = await tx.select({ id: receiver.id }).from(receiver).where(eq(receiver.name, name)).for("update");
  if (row === undefined) throw new ReceiverNotFoundError(name);
  return row;
}

/** What a receiver is sent. */
export type ReceiverChoice = Pick<ReceiverRow, "id" | "events" | "fromSnapshot" | "createdAt">;

/** Returns what each receiver is sent. */
export async function listReceiverChoices(tx: Transaction): Promise<ReceiverChoice[]> {
  const { id, events, fromSnapshot, createdAt } = getTableColumns(receiver);
  return await tx.select({ id, events, fromSnapshot, createdAt }).from(receiver).orderBy(receiver.id);
}

/** Returns the id of a receiver. Throws ReceiverNotFoundError. */
export async function getReceiverId(db: Database, name: string): Promise<string> {
  const [row] = await db.select({ id: receiver.id }).from(receiver).where(eq(receiver.name, name));
  if (row === undefined) throw new ReceiverNotFoundError(name);
  return row.id;
}

async function getReceiver(tx: Transaction, name: string): Promise<ReceiverOverview> {
  const found = (await listReceivers(tx)).find((row) => row.name === name);
  if (found === undefined) throw new ReceiverNotFoundError(name);
  return found;
}

/** Returns all receivers by name. There are at most 50; what waits is counted by the index of waiting deliveries. */
export async function listReceivers(db: Database | Transaction): Promise<ReceiverOverview[]> {
  const waiting = db
    .select({
      count: sql<string>`count(*)::text`.as("waiting_count"),
      oldest: sql`min(${receiverDelivery.createdAt})`.mapWith(receiverDelivery.createdAt).as("waiting_oldest"),
    })
    .from(receiverDelivery)
    .where(sql`${receiverDelivery.receiverId} = ${receiver.id} and ${receiverDelivery.state} = 'waiting'`)
    .as("waiting");
  const rows = await db
    .select({
      ...getTableColumns(receiver),
      isFailing: sql<boolean>`${sql.raw(isFailing("receiver"))}`,
      waiting: waiting.count,
      oldestWaitingAt: waiting.oldest,
    })
    .from(receiver)
    .innerJoinLateral(waiting, sql`true`)
    .orderBy(sql`${receiver.name} collate "C"`);
  const secrets = await db
    .select({ receiverId: receiverSecret.receiverId, createdAt: receiverSecret.createdAt })
    .from(receiverSecret)
    .orderBy(asc(receiverSecret.id));
  return rows.map((row) => ({
    ...row,
    waiting: BigInt(row.waiting),
    oldestWaitingAt: row.oldestWaitingAt as Date | null,
    secretTimes: secrets.filter(({ receiverId }) => receiverId === row.id).map(({ createdAt }) => createdAt),
  }));
}
