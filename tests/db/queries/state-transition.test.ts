/** Counting changes of state: each once, whoever counts, and never less than before. */
import { sql } from "drizzle-orm";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectDatabase } from "../../../src/db/client.ts";
import { countStateTransitions } from "../../../src/db/queries/state-transition.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { moveInstallation } from "../../support/installation.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const count = async () =>
  Object.fromEntries(
    (await countStateTransitions(database.db)).map(({ fromState, toState, transitions }) => [
      `${fromState} ${toState}`,
      Number(transitions),
    ]),
  );

test("counts each change once, of machines that had a state before, and keeps the numbers of deleted ones", async () => {
  const { db } = database;
  const [one, two] = [await machineWithAgent(db), await machineWithAgent(db)];
  const bare = await bareMachine(db);
  expect(await count()).toEqual({});
  const generation = await requestInstallation(db, one.machineId);
  await requestInstallation(db, two.machineId);
  expect(await count()).toEqual({ "never_heartbeated installation_pending": 2 });
  expect(await count()).toEqual({ "never_heartbeated installation_pending": 2 });
  await moveInstallation(db, one.machineId, generation, "failed");
  await db.execute(sql`delete from machine where id in (${two.machineId}, ${bare})`);
  expect(await count()).toEqual({
    "never_heartbeated installation_pending": 2,
    "installation_pending installation_failed": 1,
  });
  // Time changes states without anybody writing.
  await db.execute(sql`delete from os_installation_report where machine_id = ${one.machineId}`);
  await db.execute(sql`
    insert into agent_heartbeat (machine_id, heartbeat_at, quiet_until)
    values (${one.machineId}, now(), now() + interval '1 h')`);
  expect(await count()).toMatchObject({ "installation_failed heartbeating": 1 });
  await db.execute(
    sql`update agent_heartbeat set quiet_until = now() + interval '1 s' where machine_id = ${one.machineId}`,
  );
  await expect.poll(count).toMatchObject({ "heartbeating stale": 1 });
});

test("counts the others while machines are deleted, seen before or not", async () => {
  const { db } = database;
  const [seen, staying] = [await machineWithAgent(db), await machineWithAgent(db)];
  const before = (await count())["never_heartbeated installation_pending"] ?? 0;
  const unseen = await machineWithAgent(db);
  for (const { machineId } of [seen, staying]) await requestInstallation(db, machineId);
  const deletion = new pg.Client({ connectionString: database.url });
  await deletion.connect();
  await deletion.query("begin");
  await deletion.query("delete from machine where id = any($1)", [[seen.machineId, unseen.machineId]]);
  const counted = count();
  await waitForBlockedSessions(deletion, 1);
  await deletion.query("commit");
  await deletion.end();
  expect((await counted)["never_heartbeated installation_pending"]).toBeGreaterThan(before);
  const { rowCount } = await db.execute(
    sql`select from machine_seen_state where machine_id = ${staying.machineId} and state = 'installation_pending'`,
  );
  expect(rowCount).toBe(1);
});

test("counts no change twice while several processes count", async () => {
  const { db } = database;
  const before = (await count())["never_heartbeated installation_pending"] ?? 0;
  const others = Array.from({ length: 4 }, () => connectDatabase(database.url));
  let isOver = false;
  const counting = others.map(async (other) => {
    let last = 0n;
    while (!isOver) {
      const numbers = await countStateTransitions(other.db);
      const sum = numbers.reduce((total, { transitions }) => total + transitions, 0n);
      expect(sum).toBeGreaterThanOrEqual(last);
      last = sum;
    }
  });
  for (let round = 0; round < 10; round++) {
    const { machineId } = await machineWithAgent(db);
    // Those that count may see it before it has its agent.
    const seen = sql`select from machine_seen_state where machine_id = ${machineId} and state = 'never_heartbeated'`;
    await expect.poll(async () => (await db.execute(seen)).rowCount).toBe(1);
    await requestInstallation(db, machineId);
  }
  await expect.poll(async () => (await count())["never_heartbeated installation_pending"]).toBe(before + 10);
  isOver = true;
  await Promise.all(counting);
  expect((await count())["never_heartbeated installation_pending"]).toBe(before + 10);
  for (const other of others) await other.close();
});
