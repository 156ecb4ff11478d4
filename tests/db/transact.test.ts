import type { Socket } from "node:net";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase, type Transaction } from "../../src/db/client.ts";
import { isDatabaseAway, sqlState } from "../../src/db/errors.ts";
import { NotCommittedError } from "../../src/db/pipelined-transaction.ts";
import { machine } from "../../src/db/schema/machine.ts";
import { provided } from "../../src/db/schema/provided.ts";
import { transact } from "../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const first = "11111111-1111-4111-8111-111111111111";
const second = "22222222-2222-4222-8222-222222222222";
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

beforeEach(async () => {
  await database.db.delete(machine);
  await database.db.insert(machine).values([{ id: first }, { id: second }]);
  await database.db.insert(provided).values([
    { machineId: first, provider: "test", providerId: "1", location: "0" },
    { machineId: second, provider: "test", providerId: "2", location: "0" },
  ]);
});

afterAll(async () => database.close());

/** Adds one to the location of a machine, which is a number here. */
async function count(tx: Transaction, machineId: string): Promise<void> {
  await tx
    .update(provided)
    .set({ location: sql`(${provided.location}::int + 1)::text` })
    .where(eq(provided.machineId, machineId));
}

async function locations(): Promise<(string | null)[]> {
  const rows = await database.db.select().from(provided).orderBy(provided.machineId);
  return rows.map(({ location }) => location);
}

/** Updates a machine's row on another connection, which makes a snapshot taken before it stale. */
async function countElsewhere(machineId: string): Promise<void> {
  const elsewhere = connectDatabase(database.url, { maxConnections: 1 });
  await transact(elsewhere.db, (tx) => count(tx, machineId)).finally(() => elsewhere.close());
}

/** Fails with 40001 whenever `machineId` changes between its two statements. */
async function countOnSnapshot(tx: Transaction, machineId: string, between: () => Promise<void>): Promise<void> {
  await tx.execute(sql`set transaction isolation level repeatable read`);
  await tx.select().from(provided);
  await between();
  await count(tx, machineId);
}

/** Loses a client's connection, as a network does. */
function cut(client: object): void {
  (client as { connection: { stream: Socket } }).connection.stream.destroy();
}

describe("transact", () => {
  it("runs the victim of a deadlock again, so that both transactions count once", async () => {
    const bothLocked = Promise.withResolvers<void>();
    let locked = 0;
    let attempts = 0;
    const lockBoth = (mine: string, other: string) =>
      transact(database.db, async (tx) => {
        attempts++;
        await count(tx, mine);
        if (++locked === 2) bothLocked.resolve();
        await bothLocked.promise;
        await count(tx, other);
      });
    await Promise.all([lockBoth(first, second), lockBoth(second, first)]);
    // The victim may lock its row again before the other one has it, and is then the victim of another deadlock.
    expect(attempts).toBeGreaterThan(2);
    expect(await locations()).toEqual(["2", "2"]);
  });

  it("runs a transaction again whose snapshot went stale", async () => {
    let attempts = 0;
    await transact(database.db, (tx) =>
      countOnSnapshot(tx, first, async () => {
        if (++attempts < 3) await countElsewhere(first);
      }),
    );
    expect(attempts).toBe(3);
    expect(await locations()).toEqual(["3", "0"]);
  });

  it("gives up after five attempts, with PostgreSQL's reason", async () => {
    let attempts = 0;
    const giving = transact(database.db, (tx) =>
      countOnSnapshot(tx, first, async () => {
        attempts++;
        await countElsewhere(first);
      }),
    );
    const error = await giving.catch((reason: unknown) => reason);
    expect(sqlState(error)).toBe("40001");
    expect(attempts).toBe(5);
    expect(await locations()).toEqual(["5", "0"]);
  });

  it("does not repeat what failed for another reason, and keeps nothing of it", async () => {
    let attempts = 0;
    const failing = transact(database.db, async (tx) => {
      attempts++;
      await count(tx, second);
      await tx.insert(machine).values({ id: first });
    });
    expect(sqlState(await failing.catch((reason: unknown) => reason))).toBe("23505");
    expect(attempts).toBe(1);
    expect(await locations()).toEqual(["0", "0"]);
  });

  it("rejects when its work swallowed the error of a statement, since PostgreSQL rolls back then", async () => {
    let attempts = 0;
    const swallowing = transact(database.db, async (tx) => {
      attempts++;
      await count(tx, first);
      await tx
        .insert(machine)
        .values({ id: second })
        .catch(() => {});
    });
    await expect(swallowing).rejects.toThrow(new NotCommittedError("ROLLBACK"));
    expect(attempts).toBe(1);
    expect(await locations()).toEqual(["0", "0"]);
  });

  it("rejects when its commit fails, with PostgreSQL's reason", async () => {
    const failing = transact(database.db, async (tx) => {
      await count(tx, first);
      await tx.execute(sql`create temporary table later (id int primary key deferrable initially deferred)`);
      await tx.execute(sql`insert into later values (1), (1)`);
    });
    expect(sqlState(await failing.catch((reason: unknown) => reason))).toBe("23505");
    expect(await locations()).toEqual(["0", "0"]);
  });

  it("sends no statement of a transaction that has ended, when its work left one behind", async () => {
    const ended = Promise.withResolvers<void>();
    let late: Promise<void> | undefined;
    const failing = transact(database.db, async (tx) => {
      late = ended.promise.then(() => count(tx, first));
      await tx.insert(machine).values({ id: second });
    });
    await expect(failing).rejects.toThrow();
    ended.resolve();
    await expect(late).rejects.toMatchObject({ cause: { message: expect.stringContaining("was not sent") } });
    expect(await locations()).toEqual(["0", "0"]);
  });
});

describe("a connection that is lost", () => {
  it.each([
    ["before its transaction begins", true],
    ["in the middle of one", false],
  ])("%s makes room for another one", async (_when, isEarly) => {
    const { db, close } = connectDatabase(database.url, { maxConnections: 1 });
    if (isEarly) db.$client.once("acquire", (client) => cut(client));
    const losing = transact(db, (tx) => tx.execute(sql`select pg_terminate_backend(pg_backend_pid())`));
    expect(isDatabaseAway(await losing.catch((reason: unknown) => reason))).toBe(true);
    await transact(db, (tx) => count(tx, first));
    expect(await locations()).toEqual(["1", "0"]);
    await close();
  });
});
