/**
 * Watchers and a database that comes back without the last transactions, as a standby does that takes over too early:
 * whoever was told of what is lost has to list again, since the numbers of lost transactions are given once more.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { createChangeFeed } from "../../../src/admin/watch/change-feed.ts";
import { createWatchToken, decodeResumeToken } from "../../../src/admin/watch/resume-token.ts";
import { connectDatabase, type Database } from "../../../src/db/client.ts";
import { findServerAccount } from "../../../src/db/embedded/account.ts";
import { startEmbeddedPostgres } from "../../../src/db/embedded/embedded-postgres.ts";
import { locateInstance } from "../../../src/db/embedded/instance.ts";
import { migrateDatabase } from "../../../src/db/migrate.ts";
import { ChangesNotKeptError, readHistoryPosition } from "../../../src/db/queries/history-position.ts";
import { installationWithheld } from "../../../src/db/schema/index.ts";
import { createTestDatabase } from "../../support/database.ts";
import { makeTestFolder } from "../../support/embedded-owner.ts";
import { bareMachine, requestInstallation } from "../../support/machine.ts";
import { waitUntil } from "../../support/wait.ts";

const run = promisify(execFile);
const log = pino({ level: "silent" });

test("a database that lost what watchers were told of has them list again, whether they watch or come back", async () => {
  const home = join(await makeTestFolder(), "home");
  const dataFolder = join(locateInstance(home, await findServerAccount()), "data");
  const open = async () => {
    const server = await startEmbeddedPostgres({ home, log, durable: false });
    const { db, close } = connectDatabase(server.url);
    const stop = async () => {
      await close();
      await server.stop();
    };
    return { url: server.url, db, stop };
  };
  let current = await open();
  onTestFinished(() => current.stop());
  await migrateDatabase(current.url, log);
  const requested = await bareMachine(current.db);
  await requestInstallation(current.db, requested);
  const withheld = () => current.db.select({ reason: installationWithheld.reason }).from(installationWithheld);
  expect(await withheld()).toEqual([]);
  await current.stop();
  await run("cp", ["-a", dataFolder, `${dataFolder}.behind`]);

  current = await open();
  // What reads through it goes to the server that is the primary at that moment.
  const primary = new Proxy({} as Database, {
    get(_, name) {
      const value: unknown = Reflect.get(current.db, name);
      return typeof value === "function" ? value.bind(current.db) : value;
    },
  });
  const feed = createChangeFeed({ db: primary, log });
  const told = new Set<string>();
  let hasBegun = false;
  const watch = (async () => {
    for await (const { events } of feed.watch(undefined, new AbortController().signal)) {
      hasBegun = true;
      for (const { machineId } of events) told.add(machineId);
    }
  })();
  const outcome = watch.catch((error: unknown) => error);
  await waitUntil("the watch begins", () => hasBegun);
  const lost = await Promise.all(Array.from({ length: 20 }, () => bareMachine(current.db)));
  await waitUntil("the watcher has been told of all that will be lost", () => lost.every((id) => told.has(id)));
  const token = await createWatchToken(current.db);
  await current.stop();

  await rm(dataFolder, { recursive: true });
  await run("cp", ["-a", `${dataFolder}.behind`, dataFolder]);
  await run("sh", ["-c", `echo "restore_command = 'false'" >> postgresql.auto.conf`], { cwd: dataFolder });
  await writeFile(join(dataFolder, "recovery.signal"), "");
  await run("chown", ["--reference", dataFolder, join(dataFolder, "recovery.signal")]);
  current = await open();
  // A standby, too, can be asked before it has taken over.
  await waitUntil("the database has taken over", async () => {
    const { rows } = await current.db.execute<{ standby: boolean }>(sql`select pg_is_in_recovery() as standby`);
    return rows[0]?.standby === false;
  });
  expect(await outcome).toBeInstanceOf(ChangesNotKeptError);
  // Its outcome may be among what is lost.
  expect(await withheld()).toEqual([{ reason: "restored" }]);

  const from = decodeResumeToken(token);
  const resumed = () => feed.watch(from, new AbortController().signal).next();
  await expect(resumed()).rejects.toThrow(ChangesNotKeptError);
  const hasPassed = async () =>
    (await readHistoryPosition(current.db)).position.transaction > from.position.transaction;
  while (!(await hasPassed())) await bareMachine(current.db);
  // The position alone says nothing any more.
  await expect(resumed()).rejects.toThrow("has failed over or been restored");
  feed.close();
});

test("where the database tells less of itself, the timeline alone counts, or nothing", async () => {
  const database = await createTestDatabase();
  const role = `plain_${randomBytes(6).toString("hex")}`;
  const url = new URL(database.url);
  [url.username, url.password] = [role, "secret"];
  const administer = (statement: string) => database.db.execute(sql.raw(statement));
  await administer(`create role ${role} login password 'secret'`);
  // Whoever has migrated owns the function, and what that role may ask counts for all.
  await administer(`alter function database_lineage() owner to ${role}`);
  onTestFinished(async () => {
    await administer(`reassign owned by ${role} to current_user`);
    await administer(`drop role ${role}`);
    await database.close();
  });
  const readLineage = async () => {
    const { db, close } = connectDatabase(url.href);
    try {
      return (await readHistoryPosition(db)).lineage;
    } finally {
      await close();
    }
  };
  expect(await readLineage()).toMatch(/^\d+-[0-9A-F]{8}$/);
  await administer("revoke execute on function pg_control_system() from public");
  expect(await readLineage()).toMatch(/^[0-9A-F]{8}$/);
  await administer("revoke execute on function pg_walfile_name(pg_lsn) from public");
  expect(await readLineage()).toBe("");
});
