import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { findServerAccount } from "../../../src/db/embedded/account.ts";
import { findEmbeddedUrl } from "../../../src/db/embedded/connection-files.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../../src/db/embedded/embedded-postgres.ts";
import { EmbeddedInUseError, EmbeddedPostgresError } from "../../../src/db/embedded/errors.ts";
import { locateInstance } from "../../../src/db/embedded/instance.ts";
import { listProcesses, makeTestFolder, query, startOwner } from "../../support/embedded-owner.ts";

const log = pino({ level: "silent" });
const run = promisify(execFile);
let home: string;
let folder: string;
const running: EmbeddedPostgres[] = [];

beforeAll(async () => {
  home = join(await makeTestFolder(), "home");
  folder = locateInstance(home, await findServerAccount());
});

afterEach(async () => {
  for (const embedded of running.splice(0)) await embedded.stop();
});

async function start(): Promise<EmbeddedPostgres> {
  const embedded = await startEmbeddedPostgres({ home, log, durable: false, purpose: "a test" });
  running.push(embedded);
  return embedded;
}

describe("the embedded PostgreSQL", () => {
  it("keeps its data when it is stopped and started", async () => {
    const first = await start();
    await query(first.url, "create table kept as select 1 as value");
    await first.stop();
    const second = await start();
    expect(await query(second.url, "select value from kept")).toEqual([{ value: 1 }]);
  });

  it("sorts text by code point in UTF-8, whatever the system's locale", async () => {
    const { url } = await start();
    const [database] = await query(
      url,
      "select pg_encoding_to_char(encoding) as encoding, datlocprovider::text as provider, datlocale from pg_database where datname = current_database()",
    );
    expect(database).toEqual({ encoding: "UTF8", provider: "b", datlocale: "C.UTF-8" });
  });

  it("is durable unless told otherwise", async () => {
    await (await start()).stop();
    const embedded = await startEmbeddedPostgres({ home, log });
    running.push(embedded);
    const settings =
      "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes')";
    const rows = await query<{ setting: string }>(embedded.url, settings);
    expect(rows.map(({ setting }) => setting)).toEqual(["on", "on", "on"]);
  });

  it("lets nobody in without the password, and listens on the loopback interface only", async () => {
    const { url } = await start();
    const wrong = new URL(url);
    wrong.password = "wrong";
    await expect(query(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
    const rules = await query<{ auth_method: string }>(url, "select distinct auth_method from pg_hba_file_rules");
    expect(rules).toEqual([{ auth_method: "scram-sha-256" }]);
    const [sockets] = await query(
      url,
      "select current_setting('listen_addresses') as tcp, current_setting('unix_socket_directories') as unix",
    );
    expect(sockets).toEqual({ tcp: "127.0.0.1", unix: "" });
  });

  it("tells the password to readers of its home's files only", async () => {
    const { url } = await start();
    const { password } = new URL(url);
    for (const name of ["database.url", "pg_service.conf"]) {
      expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
      expect(await readFile(join(home, name), "utf8")).toContain(password);
    }
    expect((await stat(join(folder, "password"))).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(["data", "home", "password"]);
    expect((await listProcesses()).filter(({ args }) => args.includes(password))).toEqual([]);
    const psql = ["service=bmaas", "--no-password", "--tuples-only", "--command", "select 'in'"];
    const { stdout } = await run("psql", psql, {
      env: { ...process.env, PGSERVICEFILE: join(home, "pg_service.conf") },
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return { stdout: "in" };
      throw error;
    });
    expect(stdout.trim()).toBe("in");
  });

  it("writes neither statements nor values to the log", async () => {
    const lines: string[] = [];
    const embedded = await startEmbeddedPostgres({
      home,
      durable: false,
      log: pino({ level: "trace" }, { write: (line: string) => void lines.push(line) }),
    });
    running.push(embedded);
    await expect(query(embedded.url, "select 'hush'::int, 'hush' as hush")).rejects.toThrow("hush");
    await embedded.stop();
    expect(lines.join("")).toContain("database system is ready");
    expect(lines.join("")).not.toContain("hush");
    expect(lines.join("")).not.toContain(new URL(embedded.url).password);
  });

  it("is found by other processes while it runs, and not afterwards", async () => {
    expect(await findEmbeddedUrl(home)).toBeUndefined();
    const embedded = await start();
    expect(await findEmbeddedUrl(home)).toBe(embedded.url);
    await embedded.stop();
    expect(await findEmbeddedUrl(home)).toBeUndefined();
  });

  it("is not taken for whatever listens where a crashed one did, which is told no password", async () => {
    const embedded = await start();
    await embedded.stop();
    let connections = 0;
    const impostor = createServer(() => connections++).listen(0, "127.0.0.1");
    await once(impostor, "listening");
    const url = new URL(embedded.url);
    url.port = String((impostor.address() as AddressInfo).port);
    await writeFile(join(home, "database.url"), `${url.href}\n`);
    expect(await findEmbeddedUrl(home)).toBeUndefined();
    expect(connections).toBe(0);
    impostor.close();
  });

  it("refuses a second owner, naming the first", async () => {
    const { url } = await start();
    await expect(start()).rejects.toThrow(EmbeddedInUseError);
    const other = await startOwner(home);
    expect(other.error?.name).toBe("EmbeddedInUseError");
    expect(other.error?.message).toContain(
      `another bmaas process (pid ${process.pid}, a test) uses ${home}: stop it first`,
    );
    await other.stop();
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await findEmbeddedUrl(home)).toBe(url);
  });

  it("has exactly one owner when two start at once, on a new home and on an old one", async () => {
    const fresh = join(await makeTestFolder(), "home");
    for (const round of ["new", "old"]) {
      const starters = await Promise.all([startOwner(fresh), startOwner(fresh)]);
      const owners = starters.filter(({ url }) => url !== undefined);
      expect(owners, round).toHaveLength(1);
      for (const { error } of starters.filter(({ url }) => url === undefined)) {
        expect(error?.name).toBe("EmbeddedInUseError");
        expect(error?.message).toContain(`(pid ${owners[0]?.pid}, owner)`);
      }
      expect(await query(owners[0]?.url ?? "", "select 1 as one")).toEqual([{ one: 1 }]);
      for (const starter of starters) await starter.stop();
    }
  });

  it("removes what an initialisation left that was killed half way", async () => {
    await (await start()).stop();
    // No process has this id: Linux ends at 4194304.
    const half = `${folder}.tmp-4194305-half`;
    await mkdir(join(half, "data"), { recursive: true });
    await writeFile(join(half, "data", "PG_VERSION"), "1\n");
    await start();
    expect((await readdir(dirname(folder))).filter((name) => name.includes(".tmp-4194305"))).toEqual([]);
  });

  it("refuses data of another major version", async () => {
    await (await start()).stop();
    const versionFile = join(folder, "data", "PG_VERSION");
    const version = await readFile(versionFile, "utf8");
    await writeFile(versionFile, "17\n");
    await expect(start()).rejects.toThrow(/created by PostgreSQL 17, but this bmaas includes PostgreSQL 18/);
    await writeFile(versionFile, version);
    await start();
  });

  it("says what to do when the home cannot be a folder", async () => {
    const file = join(await makeTestFolder(), "file");
    await writeFile(file, "");
    const starting = startEmbeddedPostgres({ home: join(file, "home"), log });
    await expect(starting).rejects.toThrow(EmbeddedPostgresError);
    await expect(starting).rejects.toThrow(/ENOTDIR.*set BMAAS_HOME to a writable folder, or set DATABASE_URL/);
  });
});
