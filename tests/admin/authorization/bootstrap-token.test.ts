/** The first administrator's token: made once, kept in a file, and mended after whatever went wrong. */
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { beforeEach, describe, expect, test } from "vitest";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { ensureBootstrapToken } from "../../../src/admin/authorization/bootstrap-token.ts";
import { codeOf } from "../../support/agents.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { makeFolder } from "../../support/program.ts";
import { createCollectingLog, type LogLine, startServerWithDatabase } from "../../support/server.ts";
import { startServerProcess } from "../../support/server-process.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;

beforeEach(async () => {
  await db.execute(sql`delete from admin_token`);
});

async function ensure(home: string, { isOwnDatabase = false, logged = [] as LogLine[] } = {}) {
  return await ensureBootstrapToken({ db, home, isOwnDatabase, log: createCollectingLog(logged) });
}

async function readToken(home: string): Promise<string> {
  return (await readFile(join(home, "admin.token"), "utf8")).trim();
}

async function listTokens() {
  const { rows } = await db.execute(
    sql`select name, role, created_by, revoked_by, revoked_at is null as usable from admin_token order by created_at`,
  );
  return rows;
}

async function roleOf(secret: string): Promise<Role> {
  return (await adminClient(TokenService, server.adminUrl, secret).getCaller({})).role;
}

const bootstrap = { name: "bootstrap", role: "admin", created_by: "server", revoked_by: null, usable: true };

describe("a server of a shared database", () => {
  test("makes a token that only its user can read, once", async () => {
    const home = join(await makeFolder(), "new", "home");
    const logged: LogLine[] = [];
    expect(await ensure(home, { logged })).toBe(join(home, "admin.token"));
    const secret = await readToken(home);
    expect((await stat(join(home, "admin.token"))).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect(await readdir(home)).toEqual(["admin.token"]);
    expect(await roleOf(secret)).toBe(Role.ADMIN);
    expect(await ensure(home)).toBe(join(home, "admin.token"));
    expect(await readToken(home)).toBe(secret);
    expect(await listTokens()).toEqual([bootstrap]);
    expect(JSON.stringify(logged)).toContain("admin.token");
    expect(JSON.stringify(logged)).not.toContain(secret.slice(-43));
  });

  test("makes one among many that start at once", async () => {
    const homes = await Promise.all(Array.from({ length: 6 }, () => makeFolder()));
    const files = await Promise.all(homes.map((home) => ensure(home)));
    expect(files.filter((file) => file !== undefined)).toHaveLength(1);
    expect(await listTokens()).toEqual([bootstrap]);
    const [home = ""] = homes.filter((_, index) => files[index] !== undefined);
    expect(await roleOf(await readToken(home))).toBe(Role.ADMIN);
  });

  test("makes none while an administrator has a valid one, and says so", async () => {
    await tokenOf(db, "admin");
    const home = await makeFolder();
    const logged: LogLine[] = [];
    expect(await ensure(home, { logged })).toBeUndefined();
    expect(await readdir(home)).toEqual([]);
    expect(logged).toMatchObject([{ level: 30, msg: expect.stringContaining("already has administrator tokens") }]);
    await writeFile(join(home, "admin.token"), "bmaas_of_another_database\n");
    expect(await ensure(home, { logged })).toBeUndefined();
    expect(await readToken(home)).toBe("bmaas_of_another_database");
    expect(logged[1]).toMatchObject({ level: 40, msg: expect.stringContaining("not valid here") });
  });

  test.each([
    ["only others than administrators have tokens", sql`update admin_token set role = 'operator'`],
    ["the administrators' tokens are revoked", sql`update admin_token set revoked_at = now(), revoked_by = 'x'`],
    ["the administrators' tokens have expired", sql`update admin_token set expires_at = now()`],
  ])("makes one when %s", async (_situation, change) => {
    const home = await makeFolder();
    await ensure(home);
    const before = await readToken(home);
    await db.execute(change);
    expect(await ensure(home)).toBe(join(home, "admin.token"));
    expect(await readToken(home)).not.toBe(before);
    expect(await roleOf(await readToken(home))).toBe(Role.ADMIN);
    expect((await listTokens()).filter(({ usable }) => usable)).toEqual([bootstrap]);
  });

  test("mends what a crash between file and row left", async () => {
    const home = await makeFolder();
    await ensure(home);
    const crashed = await readToken(home);
    await db.execute(sql`delete from admin_token`);
    await ensure(home);
    expect(await readToken(home)).not.toBe(crashed);
    expect(await roleOf(await readToken(home))).toBe(Role.ADMIN);
    expect(await codeOf(roleOf(crashed))).toBe("Unauthenticated");
  });

  test("goes on without one, loudly, when the file cannot be written, and leaves no row for it", async () => {
    const home = join(await makeFolder(), "home");
    await writeFile(home, "a file where the folder should be");
    const logged: LogLine[] = [];
    expect(await ensure(home, { logged })).toBeUndefined();
    expect(logged).toMatchObject([{ level: 50, file: join(home, "admin.token") }]);
    expect(await listTokens()).toEqual([]);
  });
});

describe("a server of its own database", () => {
  test("gets another token when its file is lost, and ends the old one", async () => {
    const home = await makeFolder();
    await ensure(home, { isOwnDatabase: true });
    const lost = await readToken(home);
    const other = await tokenOf(db, "admin");
    await rm(join(home, "admin.token"));
    expect(await ensure(home, { isOwnDatabase: true })).toBe(join(home, "admin.token"));
    expect(await listTokens()).toMatchObject([
      { name: "bootstrap", usable: false, revoked_by: "server" },
      { name: other.name, usable: true },
      { name: "bootstrap", usable: true },
    ]);
    expect(await codeOf(roleOf(lost))).toBe("Unauthenticated");
    expect(await roleOf(await readToken(home))).toBe(Role.ADMIN);
  });

  test.each(["operator", "viewer"] as const)("does not take the token of a %s for one", async (role) => {
    const home = await makeFolder();
    const { secret } = await tokenOf(db, role);
    await writeFile(join(home, "admin.token"), secret);
    await ensure(home, { isOwnDatabase: true });
    expect(await roleOf(await readToken(home))).toBe(Role.ADMIN);
    expect(await roleOf(secret)).not.toBe(Role.ADMIN);
  });

  test("keeps another administrator's token that somebody put into the file", async () => {
    const home = await makeFolder();
    const { secret } = await tokenOf(db, "admin");
    await writeFile(join(home, "admin.token"), `${secret}\n`);
    await ensure(home, { isOwnDatabase: true });
    expect(await readToken(home)).toBe(secret);
    expect(await listTokens()).toHaveLength(1);
  });
});

test("`bmaas serve` says where the token is and not what it is, and keeps it over restarts and crashes", {
  timeout: 90_000,
}, async () => {
  const first = await startServerProcess();
  const { home } = first;
  const secret = await readToken(home);
  const client = adminClient(TokenService, first.adminUrl, secret);
  expect(await client.getCaller({})).toMatchObject({ actor: "token:bootstrap", role: Role.ADMIN });
  expect(first.logged.find(({ msg }) => msg === "serving")?.adminTokenFile).toBe(join(home, "admin.token"));
  first.kill("SIGKILL");
  await first.ended;
  expect(first.output.stdout + first.output.stderr).not.toContain(secret.slice(-43));
  await using second = await startServerProcess({ BMAAS_HOME: home });
  expect(await readToken(home)).toBe(secret);
  expect(await codeOf(adminClient(TokenService, second.adminUrl, secret).getCaller({}))).toBe("ok");
});
