/** How PostgreSQL carries the heartbeat's statements out among many machines, on a connection as the store opens it. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openHeartbeatStore } from "../../../../src/db/heartbeat-store.ts";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { createTestDatabase, openPool, type TestDatabase } from "../../../support/database.ts";
import { createHeartbeatRows, newHardware, requestGeneration, successOf } from "../../../support/heartbeat-rows.ts";

const fleetSize = 20_000;
let database: TestDatabase;
let admin: pg.Pool;
let fleet: HeartbeatRow[];

beforeAll(async () => {
  database = await createTestDatabase();
  admin = openPool(database.url, { max: 1 });
  fleet = await createHeartbeatRows(admin, fleetSize);
  await requestGeneration(admin, fleet, 1n);
  await admin.query(
    "insert into agent_heartbeat (machine_id, heartbeat_at) select machine_id, now() from agent_started",
  );
  await admin.query(
    `insert into os_installation_report (machine_id, generation, reported_at, result, report)
     select machine_id, 1, now(), 'success', '\\x' from agent_started`,
  );
  await requestGeneration(admin, fleet, 2n);
  await admin.query(
    `insert into machine_identifier (machine_id, kind, value, scope, shown, part, first_seen_at, since)
     select machine_id, 'disk_wwn', md5(machine_id::text || disk), '', '', '', now(), now()
       from agent_started cross join generate_series(1, 5) as disk`,
  );
  await admin.query("analyze");
  // What this session has scanned itself must not turn up in the statistics later.
  await admin.query("select pg_stat_force_next_flush()");
});

afterAll(async () => {
  await admin?.end();
  await database?.close();
});

test.each([1, 20, 200])(
  "batches of %i read no table from end to end, and no index, the first as little as the tenth",
  async (size) => {
    const before = await countRowsScanned();
    const readBefore = await countIndexEntriesRead();
    const store = openHeartbeatStore(database.url, { maxBatches: 1 });
    for (let round = 0; round < 10; round++) {
      const batch = fleet.splice(0, size);
      const pending = { generation: 2n, request: Buffer.from([1]) };
      expect(await store.write(batch.map((row) => ({ ...row, bootId: String(round) })))).toEqual(
        batch.map(() => ({ kind: "counted", reportRefused: false, pending })),
      );
      expect(await store.deliver(batch.map((row) => ({ ...row, generation: 2n })))).toEqual(batch.map(() => ({})));
      await store.write(batch.map((row) => ({ ...row, installationProgress: { generation: 2n, percent: 5 } })));
      const alert = {
        alertId: "fan",
        target: "",
        severity: "warning",
        message: "",
        blocksInstall: false,
        mutes: false,
      } as const;
      await store.write(batch.map((row) => ({ ...row, health: { alerts: [alert], ttlMs: 60_000 } })));
      await store.write(batch.map((row) => ({ ...row, health: { alerts: [], ttlMs: 60_000 } })));
      for (const bootId of ["next", "after that"]) await store.write(batch.map((row) => ({ ...row, bootId })));
      const outcomes = await store.write(
        batch.map((row) => ({ ...row, hardwareReport: newHardware(), installationReport: successOf(2n) })),
      );
      expect(outcomes).toEqual(batch.map(() => ({ kind: "counted", reportRefused: false })));
    }
    // A session hands its statistics over when it ends.
    await store.close();
    await expect.poll(countHeartbeatSessions).toBe(0);
    expect(await countRowsScanned()).toEqual(before);
    // About 160 for each row; more while a transaction elsewhere on this PostgreSQL keeps old versions of the rows.
    expect((await countIndexEntriesRead()) - readBefore).toBeLessThan(500 * 10 * size);
  },
);

/** Entries that scans of indexes have read. */
async function countIndexEntriesRead(): Promise<number> {
  const { rows } = await admin.query<{ read: string }>("select sum(idx_tup_read) as read from pg_stat_user_indexes");
  return Number(rows[0]?.read);
}

/** Rows that sequential scans have read, by table. */
async function countRowsScanned(): Promise<Record<string, string>> {
  const { rows } = await admin.query<{ name: string; read: string }>(
    "select relname as name, seq_tup_read as read from pg_stat_user_tables where schemaname = 'public' order by 1",
  );
  return Object.fromEntries(rows.map(({ name, read }) => [name, read]));
}

async function countHeartbeatSessions(): Promise<number> {
  const { rows } = await admin.query<{ sessions: number }>(
    "select count(*)::int as sessions from pg_stat_activity where datname = current_database() and application_name = 'bmaas-heartbeat'",
  );
  return rows[0]?.sessions ?? -1;
}
