/** COPY within a transaction: whatever fails, on either side, ends the transaction with its error. */
import { afterAll, expect, test } from "vitest";
import { transactInBulk } from "../../src/db/bulk.ts";
import { createTestDatabase } from "../support/database.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const { db } = database;

const table = "create temporary table taken (number integer) on commit drop";
const line = (text: string) => Buffer.from(`${text}\n`.repeat(20_000));

test("lines that the server refuses end the transaction with the server's error, however many follow", async () => {
  let given = 0;
  async function* lines(): AsyncGenerator<Buffer> {
    for (;;) yield line(given++ === 3 ? "not a number" : "1");
  }
  await expect(
    transactInBulk(db, async ({ tx, copyIn }) => {
      await tx.execute(table);
      await copyIn("taken", lines());
    }),
  ).rejects.toMatchObject({ code: "22P02" });
  expect(given).toBeLessThan(10_000);
});

test("a connection that ends while lines are sent ends the transaction", async () => {
  await expect(
    transactInBulk(db, async ({ tx, copyIn }) => {
      await tx.execute(table);
      const { rows } = await tx.execute<{ pid: number }>("select pg_backend_pid() as pid");
      async function* lines(): AsyncGenerator<Buffer> {
        yield line("1");
        await db.$client.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
        for (;;) yield line("1");
      }
      await copyIn("taken", lines());
    }),
  ).rejects.toThrow(/terminat|ECONNRESET|EPIPE/);
});

test("lines that cannot be read end the transaction with the reader's error", async () => {
  async function* lines(): AsyncGenerator<Buffer> {
    yield line("1");
    throw new Error("the file is gone");
  }
  await expect(
    transactInBulk(db, async ({ tx, copyIn }) => {
      await tx.execute(table);
      await copyIn("taken", lines());
    }),
  ).rejects.toThrow("the file is gone");
});

test("the server's error ends the transaction while the next lines are waited for", async () => {
  async function* lines(): AsyncGenerator<Buffer> {
    yield Buffer.from("not a number\n");
    await new Promise<never>(() => {});
  }
  await expect(
    transactInBulk(db, async ({ tx, copyIn }) => {
      await tx.execute(table);
      await copyIn("taken", lines());
    }),
  ).rejects.toMatchObject({ code: "22P02" });
});

test("a table that is not there ends the transaction", async () => {
  async function* lines(): AsyncGenerator<Buffer> {
    yield line("1");
  }
  await expect(transactInBulk(db, ({ copyIn }) => copyIn("taken", lines()))).rejects.toMatchObject({ code: "42P01" });
});

/** A query of a hundred megabytes, whose rows this many computes before it fails. */
const rows = (fine: number) => `select repeat('x', 1000) || 1 / (${fine} - i) from generate_series(1, 100000) i`;

test("rows that the server cannot compute end the transaction with the server's error", async () => {
  let kept = 0;
  const keep = async (lines: Buffer) => {
    kept += lines.length;
  };
  await expect(transactInBulk(db, ({ copyOut }) => copyOut(rows(10_000), keep))).rejects.toMatchObject({
    code: "22012",
  });
  expect(kept).toBeGreaterThan(5_000_000);
});

test("rows that cannot be kept end the transaction with the keeper's error, and the connection serves on", async () => {
  let calls = 0;
  const keep = async () => {
    if (++calls === 3) throw new Error("the folder is full");
  };
  const states: unknown[] = [];
  await expect(
    transactInBulk(db, async ({ tx, copyOut }) => {
      await copyOut(rows(-1), keep).finally(async () => states.push((await tx.execute("select 1")).rowCount));
    }),
  ).rejects.toThrow("the folder is full");
  expect([calls, states]).toEqual([3, [1]]);
});

test("a connection that ends while rows are kept ends the transaction", async () => {
  await expect(
    transactInBulk(db, async ({ tx, copyOut }) => {
      const { rows: sessions } = await tx.execute<{ pid: number }>("select pg_backend_pid() as pid");
      let calls = 0;
      await copyOut(rows(-1), async () => {
        if (++calls === 3) await db.$client.query("select pg_terminate_backend($1)", [sessions[0]?.pid]);
      });
    }),
  ).rejects.toThrow(/terminat|ECONNRESET/);
});

test("what is copied in comes out again, and the connection serves on", async () => {
  const lines = async function* () {
    for (let index = 0; index < 10; index++) yield line(index.toString());
  };
  const out: Buffer[] = [];
  const keep = async (kept: Buffer) => void out.push(kept);
  const { rows: counts } = await transactInBulk(db, async ({ tx, copyIn, copyOut }) => {
    await tx.execute(table);
    await copyIn("taken", lines());
    await copyOut("select number from taken order by number", keep);
    return await tx.execute<{ count: string }>("select count(*) from taken");
  });
  expect(counts).toEqual([{ count: "200000" }]);
  expect(Buffer.concat(out).toString()).toBe(Array.from({ length: 10 }, (_, index) => line(index.toString())).join(""));
});
