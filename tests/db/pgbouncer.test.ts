/**
 * What holds behind PgBouncer, which drops the settings of connections and may hand each transaction to another one.
 */
import { sql } from "drizzle-orm";
import pg from "pg";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectDatabase, type Database } from "../../src/db/client.ts";
import { sqlState } from "../../src/db/errors.ts";
import { openHeartbeatStore } from "../../src/db/heartbeat-store.ts";
import { checkSchema, migrateDatabase } from "../../src/db/migrate.ts";
import { transact } from "../../src/db/transact.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../support/database.ts";
import { query } from "../support/embedded-owner.ts";
import { machineOn, success } from "../support/fleet.ts";
import { machineWithAgent, readTags, requestInstallation } from "../support/machine.ts";
import {
  carriesStatements,
  hasPgBouncer,
  type PgBouncer,
  type PoolMode,
  startPgBouncer,
} from "../support/pgbouncer.ts";
import { startTestServer } from "../support/server.ts";

const log = pino({ level: "silent" });
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  // Of a role or a database that was made for people.
  const name = new URL(database.url).pathname.slice(1);
  await query(
    database.url,
    `alter database ${name} set DateStyle = 'German, DMY'; alter database ${name} set TimeZone = 'Asia/Kolkata'`,
  );
});

afterEach(() => database.close());

/** What is in force for one statement, or for the statements of a transaction. */
async function readSettings(db: Pick<Database, "execute">): Promise<unknown> {
  const { rows } = await db.execute(sql`
    select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle,
           current_setting('DateStyle') as style, current_setting('TimeZone') as zone`);
  return rows[0];
}

const inForce = { statement: "10s", idle: "15s", style: "ISO, MDY", zone: "UTC" };

test("without a pooler the settings hold on the connection itself", async () => {
  const { db, close } = connectDatabase(database.url, { onDropped: (names) => expect(names).toEqual([]) });
  expect(await readSettings(db)).toEqual(inForce);
  expect(await transact(db, readSettings)).toEqual(inForce);
  await close();
});

test("the URL's own options count beside them, and not against them", async () => {
  const url = new URL(database.url);
  url.searchParams.set("options", "-c work_mem=7MB -c DateStyle=SQL -c statement_timeout=0");
  url.searchParams.set("statement_timeout", "0");
  const { db, close } = connectDatabase(url.href, { onDropped: (names) => expect(names).toEqual([]) });
  expect(await readSettings(db)).toEqual(inForce);
  expect((await db.execute(sql`select current_setting('work_mem') as memory`)).rows).toEqual([{ memory: "7MB" }]);
  await close();
});

/** 1.21 is the first to carry prepared statements between transactions. */
const modes: readonly [PoolMode, boolean][] = [
  ["session", hasPgBouncer],
  ["transaction", carriesStatements],
];

describe.each(modes)("PgBouncer in %s mode (skipped where none that can do it is installed)", (mode, isThere) => {
  let pooler: PgBouncer;

  beforeEach(async () => {
    if (isThere) pooler = await startPgBouncer(database.url, mode);
  });

  afterEach(() => pooler?.[Symbol.asyncDispose]());

  test.skipIf(!isThere)("settings hold in each statement and transaction, and are left to nobody else", async () => {
    const dropped: (readonly string[])[] = [];
    const { db, close } = connectDatabase(pooler.url, { onDropped: (names) => dropped.push(names) });
    const all = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(() => Promise.all([readSettings(db), transact(db, readSettings)])),
    );
    expect(all).toEqual(all.map(() => [inForce, inForce]));
    expect(dropped).toEqual([expect.arrayContaining(["statement_timeout", "idle_in_transaction_session_timeout"])]);
    await close();
    const stranger = new pg.Client({ connectionString: pooler.url });
    await stranger.connect();
    for (const name of ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "enable_seqscan"]) {
      const { rows } = await stranger.query(
        `select setting = reset_val as untouched from pg_settings where name = '${name}'`,
      );
      expect(rows).toEqual([{ untouched: true }]);
    }
    await stranger.end();
  });

  test.skipIf(!isThere)(
    "a statement outside a transaction that fails says why, and the connection goes on",
    async () => {
      const { db, close, getPoolUsage } = connectDatabase(pooler.url, { maxConnections: 1 });
      const failing = db.execute(sql`select 1 / ${0}::int`).catch((error: unknown) => error);
      expect(sqlState(await failing)).toBe("22012");
      expect(await readSettings(db)).toEqual(inForce);
      expect(getPoolUsage()).toMatchObject({ open: 1, idle: 1 });
      await close();
    },
  );

  test.skipIf(!isThere)("PostgreSQL ends a heartbeat's wait for a row that another transaction holds", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    const store = openHeartbeatStore(pooler.url, { maxBatches: 1 });
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("select from agent_started for update");
    const waiting = store.write([{ machineId, publicKey: key.publicKey }]).catch((error: unknown) => error);
    expect(sqlState(await waiting)).toBe("55P03");
    await holder.end();
    expect(await store.write([{ machineId, publicKey: key.publicKey }])).toEqual([
      expect.objectContaining({ kind: "counted" }),
    ]);
    await store.close();
  });

  test.skipIf(!isThere)("a server serves, and says at its start what it found", async () => {
    await using server = await startTestServer(pooler.url);
    const settings = expect.arrayContaining(["statement_timeout"]);
    expect(server.logged).toContainEqual(expect.objectContaining({ settings, msg: expect.stringContaining("pooler") }));
    using machine = await machineOn(database.db, [server]);
    const generation = await requestInstallation(database.db, machine.machineId);
    expect(await machine.beat(0)).toBe(generation);
    expect(await machine.beat(0, success(generation))).toBeUndefined();
    const { report } = await readTags(database, machine.machineId);
    expect(report).toMatchObject({ generation, result: "success" });
  });

  test.skipIf(!isThere)("migrating leaves no lock and no setting behind, and one of several does it", async () => {
    const { url, drop } = await createEmptyDatabase();
    await using empty = await startPgBouncer(url, mode);
    const results = await Promise.all([1, 2, 3].map(() => migrateDatabase(empty.url, log)));
    expect(results.filter(({ applied }) => applied > 0)).toHaveLength(1);
    expect(await checkSchema(empty.url)).toEqual({ pending: 0 });
    const database = new URL(url).pathname.slice(1);
    expect(
      await query(
        url,
        `select from pg_locks l join pg_database d on d.oid = l.database where locktype = 'advisory' and datname = '${database}'`,
      ),
    ).toEqual([]);
    await empty[Symbol.asyncDispose]();
    await drop();
  });
});

describe.skipIf(!hasPgBouncer)(
  "a PgBouncer that will not do is refused at start, saying what it needs (skipped without PgBouncer)",
  () => {
    test("without leave to drop settings", async () => {
      await using pooler = await startPgBouncer(database.url, "session", {});
      await expect(startTestServer(pooler.url)).rejects.toThrow(/ignore_startup_parameters = options/);
    });

    test("with prepared statements that get lost", async () => {
      const lossy = {
        ignore_startup_parameters: "options",
        ...(carriesStatements && { max_prepared_statements: "0" }),
      };
      await using pooler = await startPgBouncer(database.url, "transaction", lossy);
      await expect(startTestServer(pooler.url)).rejects.toThrow(
        /loses prepared statements.*1\.21.*pool_mode = session/,
      );
    });

    test("with transactions that are none", async () => {
      await using pooler = await startPgBouncer(database.url, "statement" as PoolMode);
      await expect(startTestServer(pooler.url)).rejects.toThrow(/pool_mode = transaction or session/);
    });
  },
);
