import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { findServerAccount } from "../../../src/db/embedded/account.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../../src/db/embedded/embedded-postgres.ts";
import { locateInstance } from "../../../src/db/embedded/instance.ts";
import { findPostmaster } from "../../../src/db/embedded/postmaster-file.ts";
import {
  findFamily,
  isRunning,
  makeTestFolder,
  type OwnerProcess,
  query,
  startOwner,
} from "../../support/embedded-owner.ts";
import { waitUntil } from "../../support/wait.ts";

const log = pino({ level: "silent" });
let home: string;
let dataFolder: string;
let postmasterFile: string;
const running: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  home = join(await makeTestFolder(), "home");
  dataFolder = join(locateInstance(home, await findServerAccount()), "data");
  postmasterFile = join(dataFolder, "postmaster.pid");
});

afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

async function start(): Promise<EmbeddedPostgres> {
  const embedded = await startEmbeddedPostgres({ home, log });
  running.push(embedded);
  return embedded;
}

async function owner(): Promise<OwnerProcess & { url: string }> {
  const process = await startOwner(home);
  running.push(process);
  if (process.url === undefined) throw new Error(process.error?.message);
  return { ...process, url: process.url };
}

/** How many connections hold the owner's lock. */
async function countLocks(url: string): Promise<number> {
  const rows = await query(url, "select from pg_locks where locktype = 'advisory' and granted");
  return rows.length;
}

describe("when PostgreSQL dies", () => {
  it("comes back on the same port with everything acknowledged, and a pool recovers", async ({ signal }) => {
    const { url } = await start();
    await query(url, "create table if not exists acknowledged (n int primary key)");
    const pool = new pg.Pool({ connectionString: url, max: 3 });
    pool.on("error", () => {});
    const acknowledged: number[] = [];
    let failed = 0;
    for (let n = 0; !signal.aborted && (failed === 0 || acknowledged.length < 40); n++) {
      if (n === 20) process.kill((await findFamily(process.pid)).postgres, "SIGKILL");
      const write = pool.query("insert into acknowledged values ($1)", [n]);
      await write.then(
        () => acknowledged.push(n),
        () => failed++,
      );
    }
    await pool.end();
    const rows = await query<{ n: number }>(url, "select n from acknowledged order by n");
    expect(rows.map(({ n }) => n)).toEqual(expect.arrayContaining(acknowledged));
    // PostgreSQL takes connections of others before its owner has the lock again.
    await waitUntil("the owner holds the lock again", async () => (await countLocks(url)) === 1);
    const second = await startOwner(home);
    expect(second.error?.name).toBe("EmbeddedInUseError");
  });

  it("stays this process's when only its sessions died", async () => {
    const { url } = await start();
    const [lock] = await query<{ pid: number }>(
      url,
      "select pid from pg_locks where locktype = 'advisory' and granted",
    );
    process.kill(lock?.pid ?? 0, "SIGKILL");
    await waitUntil("another session holds the lock", async () => {
      const rows = await query<{ pid: number }>(
        url,
        "select pid from pg_locks where locktype = 'advisory' and granted",
      ).catch(() => []);
      return rows[0] !== undefined && rows[0].pid !== lock?.pid;
    });
    expect(await countLocks(url)).toBe(1);
  });

  it("is not brought back once it was told to stop", async () => {
    const embedded = await start();
    const { postgres, guardian } = await findFamily(process.pid);
    process.kill(postgres, "SIGKILL");
    await embedded.stop();
    await expect(query(embedded.url, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await waitUntil("the guardian has gone", async () => !(await isRunning(guardian)));
    await (await start()).stop();
  });

  it("is given up when it keeps dying, and says so", async () => {
    const embedded = await start();
    let lost: Error | undefined;
    void embedded.lost.then((error) => {
      lost = error;
    });
    let previous = 0;
    const killAgain = async () => {
      const postmaster = await findPostmaster(dataFolder);
      const owned = (await countLocks(embedded.url).catch(() => 0)) === 1;
      if (postmaster !== undefined && postmaster.pid !== previous && owned) {
        previous = postmaster.pid;
        process.kill(previous, "SIGKILL");
      }
      return lost !== undefined;
    };
    await waitUntil("it is lost", killAgain, 100_000);
    expect(lost?.message).toMatch(/died \d+ times within a minute/);
  }, 120_000);
});

describe("when the owner dies", () => {
  it("stops PostgreSQL, and the next owner starts at once", async () => {
    const first = await owner();
    const { postgres, guardian } = await findFamily(first.pid);
    await query(first.url, "create table if not exists survived (n int); insert into survived values (1)");
    await first.kill();
    const second = await owner();
    expect(await query(second.url, "select distinct n from survived")).toEqual([{ n: 1 }]);
    expect(await isRunning(postgres)).toBe(false);
    await waitUntil("the guardian has gone", async () => !(await isRunning(guardian)));
  });

  it("stops PostgreSQL in good order by itself", async () => {
    const first = await owner();
    const { postgres } = await findFamily(first.pid);
    await first.kill();
    await waitUntil("PostgreSQL has stopped", async () => !(await isRunning(postgres)));
    // A shutdown in good order removes it; a crash does not.
    await expect(readFile(postmasterFile)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("keeps a guardian, whoever ends it", async () => {
    const first = await owner();
    const { postgres, guardian } = await findFamily(first.pid);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.kill(guardian, signal);
    expect(await isRunning(guardian)).toBe(true);
    process.kill(guardian, "SIGKILL");
    await waitUntil("another guardian runs", async () => (await findFamily(first.pid)).guardian !== guardian);
    await first.kill();
    await waitUntil("PostgreSQL has stopped", async () => !(await isRunning(postgres)));
  });

  it("replaces the PostgreSQL that an owner and its guardian left running", async () => {
    const first = await owner();
    const { postgres, guardian } = await findFamily(first.pid);
    process.kill(guardian, "SIGKILL");
    await first.kill();
    expect(await isRunning(postgres)).toBe(true);
    await query(first.url, "select 1");
    const second = await owner();
    expect(await isRunning(postgres)).toBe(false);
    expect((await findFamily(second.pid)).postgres).not.toBe(postgres);
    expect(await countLocks(second.url)).toBe(1);
  });

  it("has one successor when two start at once", async () => {
    const first = await owner();
    process.kill((await findFamily(first.pid)).guardian, "SIGKILL");
    await first.kill();
    // Ready for so long that it is taken for abandoned at once.
    await utimes(postmasterFile, 0, 0);
    const starters = await Promise.all([startOwner(home), startOwner(home)]);
    running.push(...starters);
    expect(starters.filter(({ url }) => url !== undefined)).toHaveLength(1);
    expect(starters.map(({ error }) => error?.name).filter(Boolean)).toEqual(["EmbeddedInUseError"]);
  });

  it("starts although a crash left a process id that something else has now", async () => {
    const first = await owner();
    const content = await readFile(postmasterFile, "utf8");
    await first.stop();
    // Runs under PostgreSQL's account, so that PostgreSQL itself would take it for another of its kind.
    const bystander = spawn("sleep", ["60"], { ...(await findServerAccount()), stdio: "ignore" });
    await once(bystander, "spawn");
    await writeFile(postmasterFile, content.replace(/^\d+/, String(bystander.pid)));
    await owner();
    expect(bystander.kill("SIGKILL")).toBe(true);
    expect(await once(bystander, "exit")).toEqual([null, "SIGKILL"]);
  });
});

describe("when the machine crashed", () => {
  it.each([
    ["empty", ""],
    ["full of zeros", "\0".repeat(80)],
  ])("starts although postmaster.pid is %s", async (_what, content) => {
    await (await start()).stop();
    await writeFile(postmasterFile, content);
    await utimes(postmasterFile, 0, 0);
    await start();
  });
});

describe("Ctrl-C in the terminal", () => {
  it("does not reach PostgreSQL before its owner stops it", async () => {
    const first = await owner();
    const { postgres, guardian } = await findFamily(first.pid);
    process.kill(-first.pid, "SIGINT");
    expect(await query(first.url, "select pg_postmaster_start_time() is not null as up")).toEqual([{ up: true }]);
    expect(await findFamily(first.pid)).toEqual({ postgres, guardian });
    await first.stop();
    expect(await isRunning(postgres)).toBe(false);
  });
});
