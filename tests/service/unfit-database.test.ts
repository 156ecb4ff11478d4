/**
 * Databases that answer and will not do as they are: what is overridden, what is refused at start, and what is named.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HistoryService } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ReadOnlyDatabaseError } from "../../src/db/errors.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { errorOf } from "../support/call-error.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../support/database.ts";
import { query } from "../support/embedded-owner.ts";
import { machineOn, success } from "../support/fleet.ts";
import { requestInstallation } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

const log = pino({ level: "silent" });

describe.each(["LATIN1", "SQL_ASCII"])("a database in %s", (encoding) => {
  test("is refused at start, saying what to make instead", async () => {
    const { url, drop } = await createEmptyDatabase(
      `encoding '${encoding}' locale_provider 'libc' lc_collate 'C' lc_ctype 'C'`,
    );
    await expect(startTestServer(url)).rejects.toThrow(
      new RegExp(`DATABASE_URL: the database's encoding is ${encoding}.*create database NAME encoding 'UTF8'`),
    );
    await drop();
  });
});

describe("a database", () => {
  let database: TestDatabase;
  let name: string;

  beforeEach(async () => {
    database = await createTestDatabase();
    name = new URL(database.url).pathname.slice(1);
  });

  afterEach(() => database.close());

  test("that writes dates, numbers and bytes in its own way is read right", async () => {
    for (const setting of [
      "DateStyle = 'German, DMY'",
      "IntervalStyle = 'sql_standard'",
      "TimeZone = 'Asia/Kolkata'",
      "extra_float_digits = -10",
      "bytea_output = 'escape'",
      "array_nulls = off",
      "default_transaction_isolation = 'serializable'",
    ]) {
      await query(database.url, `alter database ${name} set ${setting}`);
    }
    const beganAtMs = Date.now();
    await using server = await startTestServer(database.url);
    using machine = await machineOn(database.db, [server]);
    const generation = await requestInstallation(database.db, machine.machineId);
    expect(await machine.beat(0)).toBe(generation);
    expect(await machine.beat(0, success(generation))).toBeUndefined();
    const { secret } = await tokenOf(database.db, "viewer");
    const { machineId } = machine;
    const { machine: shown } = await adminClient(MachineService, server.adminUrl, secret).getMachine({ machineId });
    const { events } = await adminClient(HistoryService, server.adminUrl, secret).listEvents({ machineId });
    const seen = [shown?.createTime, shown?.agent?.heartbeatTime, shown?.installation?.endTime];
    for (const time of [...seen, ...events.map(({ eventTime }) => eventTime)]) {
      expect(time && timestampMs(time)).toBeGreaterThan(beganAtMs - 60_000);
      expect(time && timestampMs(time)).toBeLessThan(Date.now() + 60_000);
    }
  });

  test("that is read-only at start is named so", async () => {
    await query(database.url, `alter database ${name} set default_transaction_read_only = on`);
    const migrating = migrateDatabase(database.url, log);
    await expect(migrating).rejects.toThrow(ReadOnlyDatabaseError);
    await expect(migrating).rejects.toThrow("the database is read-only: default_transaction_read_only is on");
  });
});

describe("a database, while the server runs,", () => {
  let database: TestDatabase;
  let name: string;
  let proxy: TcpProxy;
  let server: TestServer;

  beforeEach(async () => {
    database = await createTestDatabase();
    name = new URL(database.url).pathname.slice(1);
    proxy = await startTcpProxy(database.url);
    server = await startTestServer(proxy.url);
  });

  afterEach(async () => {
    await server.close();
    await proxy[Symbol.asyncDispose]();
    await database.close();
  });

  const administer = (statement: string) => query(database.url.replace(name, "postgres"), statement);
  const readReason = async () =>
    ((await (await fetch(`${server.adminUrl}/readyz`)).json()) as { reason?: string }).reason;

  /** What readiness, an agent and the log are told once the statement has been run by an administrator. */
  async function expectTold(statement: string, trouble: string): Promise<void> {
    using machine = await machineOn(database.db, [server]);
    await administer(statement);
    proxy.cut();
    await waitUntil("readiness tells", async () => (await readReason()) === trouble);
    await waitUntil("an agent is told", async () =>
      (await errorOf(machine.beat(0))).message.startsWith(`${trouble}: `),
    );
    expect(await errorOf(machine.beat(0))).toMatchObject({ code: "Unavailable" });
    const lines = server.logged.filter(({ msg }) => String(msg).startsWith(`${trouble}: heartbeats`));
    expect(lines).toHaveLength(1);
  }

  test("that becomes read-only is named so, not ready, and back by itself", async () => {
    await expectTold(`alter database ${name} set default_transaction_read_only = on`, "the database is read-only");
    await administer(`alter database ${name} reset all`);
    proxy.cut();
    await waitUntil("the server is ready", async () => (await readReason()) === undefined);
  });

  test("that lets nobody in any more is named so, and nobody's call is an internal error", async () => {
    const trouble = "the database refuses the server's login";
    await expectTold(`alter database ${name} allow_connections false`, trouble);
    await administer(`alter database ${name} allow_connections true`);
    await waitUntil("the server is ready", async () => (await readReason()) === undefined);
  });
});
