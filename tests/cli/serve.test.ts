/** `bmaas serve` as operators meet it: what it says when it serves, and what it says when it cannot. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemFolder } from "../../src/db/embedded/instance.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { mainFile, makeFolder, type ProgramOptions, runProgram } from "../support/program.ts";
import { startServerProcess } from "../support/server-process.ts";

let database: TestDatabase;
let newerDatabase: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  newerDatabase = await createTestDatabase();
  await newerDatabase.db.execute(
    sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('of a later version', 4102444800000)`,
  );
});

afterAll(async () => {
  await database?.close();
  await newerDatabase?.close();
});

const freePorts = { BMAAS_AGENT_LISTEN: "127.0.0.1:0", BMAAS_ADMIN_LISTEN: "127.0.0.1:0" };

/** Runs a server that cannot start, in an empty folder of its own, and returns the mistakes it names. */
async function findMistakes(
  environment: Record<string, string>,
  { args = [], ...options }: ProgramOptions & { args?: string[] } = {},
): Promise<string[]> {
  const directory = await makeFolder();
  if (options.account !== undefined) await chmod(directory, 0o777);
  const settings = { DATABASE_URL: database.url, ...freePorts, ...environment };
  const { status, stdout, stderr } = await runProgram(["serve", ...args], {
    directory,
    environment: settings,
    ...options,
  });
  expect([status, stdout]).toEqual([2, ""]);
  expect(await readdir(directory)).toEqual([]);
  expect(stderr).toMatch(/^(bmaas: .+\n)+$/);
  for (const url of [database.url, newerDatabase.url]) expect(stderr).not.toContain(new URL(url).password || url);
  return stderr
    .trimEnd()
    .split("\n")
    .map((line) => line.replace("bmaas: ", ""));
}

async function takePort(): Promise<{ address: string } & AsyncDisposable> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

describe("a server that serves", () => {
  const script = spawnSync("script", ["--version"]).stdout?.toString() ?? "";
  test.skipIf(!script.includes("util-linux"))(
    "shows addresses and the next command on a terminal (skipped without script of util-linux), and ends with Ctrl-C",
    async () => {
      const directory = await makeFolder();
      const environment = {
        ...process.env,
        SHELL: "/bin/sh",
        DATABASE_URL: database.url,
        ...freePorts,
        BMAAS_SHUTDOWN_DELAY: "0",
      };
      // exec: Ctrl-C reaches every process of the terminal, and a shell that stays would end by it with a status of its
      // own.
      const command = `exec '${process.execPath}' '${mainFile}' serve`;
      const terminal = spawn("script", ["-qec", command, "/dev/null"], { cwd: directory, env: environment });
      let shown = "";
      terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
        shown += text;
      });
      const exited = once(terminal, "exit");
      while (!shown.includes("Ctrl-C stops it.") && terminal.exitCode === null) await once(terminal.stdout, "data");
      terminal.stdin.write("\x03");
      expect((await exited)[0]).toBe(0);
      expect(shown).toMatch(/bmaas serves\r\n +agents +https:\/\/127\.0\.0\.1:\d+ /);
      const rows = /operators +(http:\/\/127\.0\.0\.1:\d+) .*\r\n +console +\1\/.*\r\n +database +DATABASE_URL\r\n/;
      expect(shown).toMatch(rows);
      expect(shown).toMatch(/agents' CA +\.bmaas\/tls\/ca\.pem/);
      expect(shown).toMatch(/admin token +\.bmaas\/admin\.token/);
      const secret = await readFile(join(directory, ".bmaas", "admin.token"), "utf8");
      expect(shown).not.toContain(secret.trim());
      expect(shown).toContain("npm run bmaas -- status");
      expect(shown).not.toContain(new URL(database.url).password || database.url);
      expect(shown).not.toMatch(/^\{/m);
    },
  );

  test("logs JSON where there is no terminal, without its database's password, and ends with 0", async () => {
    const server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_LOG_LEVEL: "trace" });
    expect((await fetch(`${server.adminUrl}/readyz`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
    const lines = server.output.stdout.trimEnd().split("\n");
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages).toEqual(expect.arrayContaining(["serving", "stopped"]));
    expect(server.output.stdout).not.toContain(new URL(database.url).password || database.url);
    expect(server.output.stderr).toBe("");
  });
});

describe("one message names every mistake, with nothing opened", () => {
  test("of all kinds at once", async () => {
    await using taken = await takePort();
    const mistakes = await findMistakes({
      BMAAS_LOG_LEVEL: "loud",
      BMAAS_AGENT_LISTN: "127.0.0.1:1",
      BMAAS_ADMIN_LISTEN: taken.address,
      BMAAS_TLS_CERT: "nowhere.pem",
      BMAAS_TLS_KEY: "nowhere.key",
      DATABASE_URL: newerDatabase.url,
    });
    expect(mistakes).toEqual([
      expect.stringMatching(/^BMAAS_LOG_LEVEL: "loud" is not one of/),
      expect.stringMatching(/^BMAAS_AGENT_LISTN: .*BMAAS_AGENT_LISTEN/),
      expect.stringMatching(/nowhere\.pem: no such file$/),
      expect.stringMatching(/nowhere\.key: no such file$/),
      expect.stringContaining(`BMAAS_ADMIN_LISTEN: ${taken.address} is in use by another process`),
      expect.stringMatching(
        /^DATABASE_URL: the database has 1 migration that this bmaas does not know, .*2100-01-01.*: upgrade bmaas/,
      ),
    ]);
  });

  test("of the database's TLS mode alone, without connecting in another mode", async () => {
    const url = new URL(database.url);
    url.pathname = "no_such_database";
    url.search = "?sslmode=verify_full";
    expect(await findMistakes({ DATABASE_URL: url.href })).toEqual([
      expect.stringMatching(/^DATABASE_URL: sslmode="verify_full" is not one of/),
    ]);
  });

  test("of flags by their names, before the embedded PostgreSQL is made", async () => {
    const file = join(await makeFolder(), "file");
    await writeFile(file, "");
    const environment = { DATABASE_URL: "", BMAAS_SHUTDOWN_DELAY: "soon", BMAAS_HOME: join(file, "home") };
    const args = ["--agent-listen", "8443", "--agent-tls", "maybe"];
    expect(await findMistakes(environment, { args })).toEqual([
      expect.stringMatching(/^--agent-listen: "8443" is not HOST:PORT/),
      expect.stringMatching(/^--agent-tls: "maybe" is neither on nor off/),
      expect.stringMatching(/^BMAAS_SHUTDOWN_DELAY: "soon" is not a number of seconds/),
      `BMAAS_HOME: ${join(file, "home")} has a parent that is not a folder`,
    ]);
    const homes = await readdir(systemFolder).catch(() => []);
    const owners = homes.map((name) => readFile(join(systemFolder, name, "home"), "utf8").catch(() => ""));
    expect((await Promise.all(owners)).filter((home) => home.includes(file))).toEqual([]);
  });

  test("of what only trying shows: folder, certificates, addresses, database", async () => {
    await using taken = await takePort();
    const folder = await makeFolder();
    const [one, other] = await Promise.all([
      ensureDevelopmentTls(join(folder, "one"), []),
      ensureDevelopmentTls(join(folder, "other"), []),
    ]);
    const url = new URL(database.url);
    url.pathname = "no_such_database";
    const mistakes = await findMistakes({
      BMAAS_HOME: one.keyFile,
      BMAAS_ADMIN_TLS_CERT: one.certFile,
      BMAAS_ADMIN_TLS_KEY: other.keyFile,
      BMAAS_AGENT_LISTEN: "192.0.2.1:8443",
      BMAAS_ADMIN_LISTEN: taken.address,
      DATABASE_URL: url.href,
    });
    expect(mistakes).toEqual([
      `BMAAS_HOME: ${one.keyFile} is not a folder`,
      `${other.keyFile}: not the key of the certificate in ${one.certFile}`,
      "BMAAS_AGENT_LISTEN: 192.0.2.1:8443 is not an address of this machine",
      expect.stringContaining(`BMAAS_ADMIN_LISTEN: ${taken.address} is in use`),
      expect.stringMatching(/^DATABASE_URL: .*"no_such_database" does not exist/),
    ]);
  });

  test("a wrong password, which nothing repeats (skipped where the server asks for none)", async ({ skip }) => {
    const url = new URL(database.url);
    url.password = "correct-horse-battery";
    if (await canConnect(url.href)) skip();
    const mistakes = await findMistakes({ DATABASE_URL: url.href });
    expect(mistakes).toEqual([expect.stringMatching(/^DATABASE_URL: .*password authentication failed/)]);
    expect(mistakes.join()).not.toContain("correct-horse-battery");
  });
});

async function canConnect(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString });
  return await client.connect().then(
    () => client.end().then(() => true),
    () => false,
  );
}

/** Whom to run as, so that the system can refuse something: root may do everything. */
const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
const othersCanRunIt =
  process.platform === "linux" &&
  (account === undefined || spawnSync(process.execPath, ["--check", mainFile], { cwd: "/", ...account }).status === 0);

test.skipIf(!othersCanRunIt)(
  "what the system refuses an ordinary user is named (skipped where none can run this)",
  async () => {
    const folder = await makeFolder();
    const { certFile, keyFile } = await ensureDevelopmentTls(folder, []);
    const keyMode = account === undefined ? 0o000 : 0o600;
    await Promise.all([chmod(folder, 0o711), chmod(join(folder, "tls"), 0o711), chmod(keyFile, keyMode)]);
    const environment = {
      BMAAS_AGENT_LISTEN: "127.0.0.1:443",
      BMAAS_TLS_CERT: certFile,
      BMAAS_TLS_KEY: keyFile,
      DATABASE_URL: "",
      BMAAS_HOME: "/usr/bmaas",
    };
    const refusedPort =
      "BMAAS_AGENT_LISTEN: 127.0.0.1:443 requires privileges that this user does not have: choose a port from 1024 up";
    const firstFree = Number(await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
    expect(await findMistakes(environment, account === undefined ? {} : { account })).toEqual([
      "BMAAS_HOME: /usr is a folder that this user cannot write to",
      `${keyFile}: is not readable by this user`,
      ...(firstFree > 443 ? [refusedPort] : []),
    ]);
    await expect(access("/usr/bmaas")).rejects.toThrow();
  },
);

test("a second server on the home of one that runs is told so, and harms nothing", async () => {
  await using server = await startServerProcess();
  const { home } = server;
  const second = await runProgram(["serve"], { environment: { BMAAS_HOME: home, ...freePorts } });
  expect([second.status, second.stdout]).toEqual([2, ""]);
  expect(second.stderr).toMatch(
    /^bmaas: another bmaas process \(.*\) uses .*: stop it first, give this one its own BMAAS_HOME/,
  );
  expect((await fetch(`${server.adminUrl}/readyz`)).status).toBe(200);
  const url = await readFile(join(home, "database.url"), "utf8");
  const password = new URL(url.trim()).password;
  expect(password).not.toBe("");
  expect(second.stderr + server.output.stdout + server.output.stderr).not.toContain(password);
});

describe("usage", () => {
  const wrong: [string[], RegExp][] = [
    [["sevre"], /unknown command 'sevre'.*serve/s],
    [["serve", "--agent-listn", "127.0.0.1:1"], /unknown option '--agent-listn'.*--agent-listen/s],
    [["serve", "--home"], /option '--home <DIR>' argument missing/],
    [["serve", "now"], /too many arguments/],
    [["seed"], /missing required argument 'file'/],
    [["agent", "keygne"], /too many arguments for 'agent'.*keygne/],
  ];
  test("that is wrong ends with status 2 and a hint", async () => {
    const directory = await makeFolder();
    const results = await Promise.all(wrong.map(([args]) => runProgram(args, { directory })));
    for (const [index, [args, hint]] of wrong.entries()) {
      expect(results[index], args.join(" ")).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(hint) });
    }
  });

  test("is printed by every command with --help", async () => {
    const commands = [
      "",
      "serve",
      "migrate",
      "seed",
      "demo",
      "agent",
      "agent keygen",
      "agent sign",
      "agent certificate",
    ];
    const results = await Promise.all(
      commands.map((command) => runProgram([...command.split(" ").filter((word) => word !== ""), "--help"])),
    );
    for (const [index, command] of commands.entries()) {
      const usage = new RegExp(`^Usage: bmaas ${command}`);
      expect(results[index], command).toEqual({ status: 0, stdout: expect.stringMatching(usage), stderr: "" });
    }
  });
});
