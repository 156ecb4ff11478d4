/** Comparing issues: each change once, whoever compares and dies, in bounded steps however many there are. */
import { randomUUID } from "node:crypto";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareIssues } from "../../src/db/issue-comparison.ts";
import {
  beginComparison,
  findCompareRange,
  listIssueDifferences,
  moveComparison,
  noteIssueDifferences,
  releaseComparison,
} from "../../src/db/queries/issue-comparison.ts";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { observe } from "../support/observer.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());
const going = new AbortController().signal;

/** The changes so far, oldest first, as text. */
async function readChanges(machineId?: string): Promise<string[]> {
  const rows = await observe(database)<{ machineId: string; type: string; severity: string; hasBegun: boolean }[]>`
    select machine_id, type, severity, has_begun from issue_change order by transaction, id`;
  return rows
    .filter((row) => machineId === undefined || row.machineId === machineId)
    .map(({ type, severity, hasBegun }) => `${hasBegun ? "begins" : "ends"} ${type} ${severity}`);
}

const makeDue = () => db.execute(sql`update issue_comparison set due_at = now()`);
const letLeaseEnd = () => db.execute(sql`update issue_comparison set held_until = now() - interval '1 second'`);
/** Creates machines whose agents have not called for an hour, which is an issue of each. */
const makeIssues = (count: number) =>
  db.execute(sql`
    with created as (
      insert into machine (id, created_at) select gen_random_uuid(), now() from generate_series(1, ${count}) returning id
    )
    insert into agent_started (machine_id, started_at, public_key)
    select id, now() - interval '1 hour', sha256(id::text::bytea) from created`);

test("the first round notes what is there, and tells only what began after it", async () => {
  const old = await issueSituations.installation_failed.make(db);
  await compareIssues(db, going);
  expect(await readChanges(old)).toEqual([]);
  expect((await db.execute(sql`select from seen_issue where machine_id = ${old}`)).rows).toHaveLength(1);
  await issueSituations.installation_failed.end(db, old);
  await compareNow(db);
  expect(await readChanges(old)).toEqual(["ends installation_failed warning"]);
});

test("a round that is not due, or that another process is at, does nothing", async () => {
  const machineId = await issueSituations.never_heartbeated.make(db);
  await db.execute(sql`update issue_comparison set due_at = now() + interval '9 minutes'`);
  await compareIssues(db, going);
  expect(await readChanges(machineId)).toEqual([]);
  await makeDue();
  const other = randomUUID();
  expect(await beginComparison(db, other)).toEqual({ after: undefined });
  await compareIssues(db, going);
  expect(await readChanges(machineId)).toEqual([]);
  await releaseComparison(db, other);
  await compareIssues(db, going);
  expect(await readChanges(machineId)).toEqual(["begins never_heartbeated info"]);
});

test("a clock that was set back, by days or by a minute, does not stop the comparing", async () => {
  for (const column of ["due_at", "held_until"]) {
    const machineId = await issueSituations.never_heartbeated.make(db);
    await makeDue();
    await db.execute(sql`update issue_comparison set ${sql.raw(column)} = now() + interval '11 minutes'`);
    await compareIssues(db, going);
    expect(await readChanges(machineId)).toEqual(["begins never_heartbeated info"]);
  }
});

test("an issue whose severity changes ends, and begins with the other one", async () => {
  const machineId = await issueSituations.health.make(db);
  await compareNow(db);
  await db.execute(sql`update health_alert set severity = 'warning' where machine_id = ${machineId}`);
  await compareNow(db);
  expect(await readChanges(machineId)).toEqual([
    "begins health critical",
    "ends health critical",
    "begins health warning",
  ]);
});

test("the end of a deleted machine's issues is told", async () => {
  const machineId = await issueSituations.never_heartbeated.make(db);
  await compareNow(db);
  await db.execute(sql`delete from machine where id = ${machineId}`);
  await compareNow(db);
  expect(await readChanges(machineId)).toEqual(["begins never_heartbeated info", "ends never_heartbeated info"]);
});

describe("a process that dies", () => {
  const all = { after: undefined, through: undefined };
  /** The steps of a round. Each process stops after one of them, as if it were killed there. */
  const steps: Record<string, (holder: string) => Promise<unknown>> = {
    "when it has begun": async () => {},
    "when it has compared": () => listIssueDifferences(db, all, 1000),
    "when it has noted a part": async (holder) => {
      const { differences, at } = await listIssueDifferences(db, all, 1000);
      await noteIssueDifferences(db, holder, { differences: differences.slice(0, 3), at });
    },
    "when it has noted everything": async (holder) =>
      await noteIssueDifferences(db, holder, await listIssueDifferences(db, all, 1000)),
    "when it has moved on": async (holder) => {
      const range = await findCompareRange(db, undefined, 3);
      await noteIssueDifferences(db, holder, await listIssueDifferences(db, range, 1000));
      await moveComparison(db, holder, range.through ?? "");
    },
  };

  test.each(Object.entries(steps))("%s loses nothing and tells nothing twice", async (_, die) => {
    await compareNow(db);
    const before = await readChanges();
    await makeIssues(8);
    await makeDue();
    const holder = randomUUID();
    await beginComparison(db, holder);
    await die(holder);
    await letLeaseEnd();
    await compareNow(db);
    const news = (await readChanges()).slice(before.length);
    expect(news).toEqual(Array(8).fill("begins never_heartbeated info"));
  });

  test("changes nothing when it wakes up again", async () => {
    await compareNow(db);
    const before = await readChanges();
    await makeDue();
    const sleeper = randomUUID();
    await beginComparison(db, sleeper);
    const machineId = await issueSituations.installation_failed.make(db);
    const stale = await listIssueDifferences(db, all, 1000);
    expect(stale.differences).toHaveLength(1);
    await issueSituations.installation_failed.end(db, machineId);
    await letLeaseEnd();
    await compareNow(db);
    expect(await noteIssueDifferences(db, sleeper, stale)).toBe(false);
    expect(await moveComparison(db, sleeper, machineId)).toBe(false);
    expect(await readChanges()).toEqual(before);
  });
});

describe("50,000 issues that begin at once", { timeout: 300_000 }, () => {
  let before = 0;
  beforeAll(async () => {
    await compareNow(db);
    before = (await readChanges()).length;
    // A single statement would take longer than one may.
    for (let made = 0; made < 50_000; made += 5_000) await makeIssues(5_000);
    await db.execute(sql`analyze machine`);
    await db.execute(sql`analyze agent_started`);
  });

  test("are noted in short transactions", async () => {
    await makeDue();
    await compareIssues(db, going);
    expect((await readChanges()).length - before).toBe(50_000);
    const { rows } = await db.execute<{ most: number }>(sql`
      select max(changes)::int as most from (select count(*) as changes from issue_change group by transaction) each`);
    expect(rows[0]?.most).toBeLessThanOrEqual(1000);
  });

  test("are noted once", async () => {
    await compareNow(db);
    expect((await readChanges()).length - before).toBe(50_000);
  });
});
