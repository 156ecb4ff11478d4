/** Boots in the history: a row for a run of them, at most one an hour, and when the last ones were. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { readHistoryPosition } from "../../../../src/db/queries/history-position.ts";
import { listMachineChanges } from "../../../../src/db/queries/machine-change.ts";
import { isBootLoop } from "../../../../src/db/schema/agent-boots.ts";
import { createTestDatabase, type TestDatabase } from "../../../support/database.ts";
import { createHeartbeatRows } from "../../../support/heartbeat-rows.ts";
import { readTags, replaceAgentKey } from "../../../support/machine.ts";
import { observe } from "../../../support/observer.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url, pipeline: true });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  await database?.close();
});

/** A machine whose agent has stated a boot id, and has not booted since. */
async function createRunning(): Promise<HeartbeatRow> {
  const [row] = await createHeartbeatRows(client, 1);
  await boot(row as HeartbeatRow, "first");
  return row as HeartbeatRow;
}

const boot = (row: HeartbeatRow, bootId: string) => writeHeartbeats(client, [{ ...row, bootId }]);

/** Moves the machine's boots into the past. */
async function letPass({ machineId }: HeartbeatRow, minutes: number): Promise<void> {
  await client.query(
    `update agent_boots
        set run_began_at = run_began_at - $2 * interval '1 min', last_at = last_at - $2 * interval '1 min',
            second_last_at = second_last_at - $2 * interval '1 min', loop_since = loop_since - $2 * interval '1 min'
      where machine_id = $1`,
    [machineId, minutes],
  );
}

async function readBoots({ machineId }: HeartbeatRow) {
  const { history } = await readTags(database, machineId);
  return history.filter(({ kind }) => kind === "agent_booted");
}

interface Loop {
  readonly since: number;
  readonly boots: number;
}

/** Minutes since the first boot of the machine's boot loop, and the boots since; undefined if it is in none. */
async function findLoop({ machineId }: HeartbeatRow): Promise<Loop | undefined> {
  const sql = observe(database);
  const [loop] = await sql<Loop[]>`
    select round(extract(epoch from now() - loop_since) / 60)::int as since, loop_boots as boots
      from agent_boots boots where machine_id = ${machineId} and ${sql.unsafe(isBootLoop("boots"))}`;
  return loop && { ...loop };
}

test("boots within an hour are one row, with the first, the last and their number", async () => {
  const row = await createRunning();
  await boot(row, "a");
  const [first] = await readBoots(row);
  expect(first?.detail).toEqual({ bootId: "a", previousBootId: "first" });
  await boot(row, "b");
  await boot(row, "b");
  await boot(row, "c");
  const rows = await readBoots(row);
  expect(rows).toMatchObject([{ id: first?.id, at: first?.at, actor: first?.actor }]);
  const { lastBootTime = "", ...detail } = rows[0]?.detail ?? {};
  expect(detail).toEqual({ bootId: "c", previousBootId: "first", boots: "3" });
  expect(lastBootTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Math.abs(Date.parse(String(lastBootTime)) - Date.now())).toBeLessThan(60_000);
});

test("a boot an hour after the first one of a run begins another run", async () => {
  const row = await createRunning();
  await boot(row, "a");
  await letPass(row, 59);
  await boot(row, "b");
  await letPass(row, 1);
  await boot(row, "c");
  await boot(row, "d");
  expect(
    (await readBoots(row)).map(({ detail: { bootId, previousBootId, boots } }) => [bootId, previousBootId, boots]),
  ).toEqual([
    ["b", "first", "2"],
    ["d", "b", "2"],
  ]);
});

test("a machine that boots every three minutes adds a row an hour, and no boot is lost", async () => {
  const row = await createRunning();
  for (let count = 0; count < 200; count++) {
    await boot(row, `boot ${count}`);
    await letPass(row, 3);
  }
  const rows = await readBoots(row);
  expect(rows.map(({ detail }) => detail.boots)).toEqual(Array(10).fill("20"));
});

test("an agent that invents boot ids costs no more rows than a machine that boots", async () => {
  const row = await createRunning();
  for (let count = 0; count < 100; count++) await boot(row, `invented ${count}`);
  expect((await readBoots(row)).map(({ detail }) => detail.boots)).toEqual(["100"]);
  const [stored] = await observe(database)<{ boots: number; past: number; history: number }[]>`
    select (select count(*)::int from agent_boots where machine_id = ${row.machineId}) as boots,
           (select cardinality(boot_ids) from agent_past where machine_id = ${row.machineId}) as past,
           (select count(*)::int from machine_history where machine_id = ${row.machineId}) as history`;
  expect(stored).toEqual({ boots: 1, past: 16, history: 1 });
});

test("boots of many machines in one batch are told apart", async () => {
  const rows = await createHeartbeatRows(client, 20);
  const bootAll = (ids: readonly string[]) =>
    writeHeartbeats(
      client,
      rows.map((row, index) => ({ ...row, bootId: ids[index % ids.length] })),
    );
  await bootAll(["first"]);
  await bootAll(["first", "a"]);
  await bootAll(["b", "b", "c"]);
  for (const [index, row] of rows.entries()) {
    const boots = (await readBoots(row)).map(({ detail }) => [detail.bootId, detail.boots]);
    expect(boots).toEqual([[index % 3 === 2 ? "c" : "b", index % 2 === 0 ? undefined : "2"]]);
  }
});

test("a boot whose row of the history was deleted begins another one", async () => {
  const row = await createRunning();
  await boot(row, "a");
  await client.query("delete from machine_history where machine_id = $1", [row.machineId]);
  await boot(row, "b");
  await boot(row, "c");
  expect((await readBoots(row)).map(({ detail }) => detail)).toMatchObject([
    { bootId: "c", previousBootId: "a", boots: "2" },
  ]);
});

test("watchers read the row again after each boot", async () => {
  const row = await createRunning();
  // Transactions of other databases that are under way hold the position back, so it may be before this machine.
  const { position } = await readHistoryPosition(database.db);
  const read = async () => {
    const changes = await listMachineChanges(database.db, position, 1000);
    return changes.flatMap((change) => ("issue" in change || change.machineId !== row.machineId ? [] : [change]));
  };
  let last = 0n;
  for (const [bootId, boots] of [["a"], ["b", "2"], ["c", "3"]]) {
    await boot(row, bootId as string);
    await expect.poll(read).toMatchObject([{ kind: "agent_booted", detail: { bootId } }]);
    const [change] = await read();
    expect(change?.detail.boots).toBe(boots);
    expect(change?.position.transaction).toBeGreaterThan(last);
    last = change?.position.transaction ?? 0n;
  }
});

test("the third boot in half an hour is a boot loop, which ends half an hour after the last boot", async () => {
  const row = await createRunning();
  await boot(row, "a");
  await letPass(row, 2);
  await boot(row, "b");
  expect(await findLoop(row)).toBeUndefined();
  await letPass(row, 27);
  await boot(row, "c");
  expect(await findLoop(row)).toEqual({ since: 29, boots: 3 });
  await letPass(row, 29);
  expect(await findLoop(row)).toEqual({ since: 58, boots: 3 });
  await letPass(row, 1);
  expect(await findLoop(row)).toBeUndefined();
});

test("a third boot after more than half an hour is no boot loop, and ends one", async () => {
  const row = await createRunning();
  for (const bootId of ["a", "b", "c"]) {
    await boot(row, bootId);
    await letPass(row, 16);
  }
  expect(await findLoop(row)).toBeUndefined();
  await boot(row, "d");
  await boot(row, "e");
  expect(await findLoop(row)).toEqual({ since: 16, boots: 3 });
  await letPass(row, 29);
  expect(await findLoop(row)).toBeDefined();
  await letPass(row, 2);
  await boot(row, "f");
  expect(await findLoop(row)).toBeUndefined();
});

test.each([3, 14])("a machine that boots every %i minutes stays in one boot loop", async (minutes) => {
  const row = await createRunning();
  for (let count = 1; count <= 12; count++) {
    await boot(row, `boot ${count}`);
    const loop = { since: minutes * count, boots: count };
    await letPass(row, minutes);
    expect(await findLoop(row)).toEqual(count < 3 ? undefined : loop);
  }
});

test("boot ids that return are two machines, and neither boots nor a boot loop", async () => {
  const row = await createRunning();
  await boot(row, "a");
  for (let round = 0; round < 5; round++) for (const bootId of ["first", "a"]) await boot(row, bootId);
  expect((await readBoots(row)).map(({ detail }) => detail)).toEqual([{ bootId: "a", previousBootId: "first" }]);
  expect(await findLoop(row)).toBeUndefined();
  const { history } = await readTags(database, row.machineId);
  expect(history.map(({ kind }) => kind)).toEqual(["agent_booted", "agent_duplicated"]);
});

test("what is known of boots goes with the agent's key", async () => {
  const row = await createRunning();
  for (const bootId of ["a", "b", "c"]) await boot(row, bootId);
  expect(await findLoop(row)).toBeDefined();
  await replaceAgentKey(database.db, row.machineId);
  const left = await observe(database)`select from agent_boots where machine_id = ${row.machineId}`;
  expect(left).toHaveLength(0);
});
