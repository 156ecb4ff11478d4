/** Which server operators' commands talk to, and what keeps their token from going astray. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leaveLocalAdminUrl } from "../../../src/base/local-server.ts";
import { findServerKey, keepServerKey } from "../../../src/base/server-proof.ts";
import { findServer } from "../../../src/cli/operator/find-server.ts";
import { ConfigError, type Environment, loadConfig } from "../../../src/config/config.ts";
import { type DevelopmentTls, ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { createTestDatabase } from "../../support/database.ts";
import { tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { makeFolder } from "../../support/program.ts";
import { startTestServer } from "../../support/server.ts";

const token = "bmaas_0123456789abcdef_0123456789012345678901234567890123456789012";

async function makeHome({ withToken = true, withKey = true, url = "" } = {}): Promise<string> {
  const home = join(await makeFolder(), "home");
  await mkdir(home);
  if (withKey) await keepServerKey(home);
  if (withToken) await writeFile(join(home, "admin.token"), `${token}\n`, { mode: 0o600 });
  if (url !== "") await leaveLocalAdminUrl(home, url);
  return home;
}

const find = (environment: Environment) => findServer(loadConfig(environment));

describe("without a setting", () => {
  test("it is the one that listens by the same home", async () => {
    const home = await makeHome({ url: "https://0.0.0.0:9443" });
    expect(await find({ BMAAS_HOME: home })).toMatchObject({ url: "https://127.0.0.1:9443", token });
  });

  test("it is where a server of the same settings would listen, when none has left word", async () => {
    const home = await makeHome();
    expect(await find({ BMAAS_HOME: home })).toMatchObject({ url: "http://127.0.0.1:8480", token });
    const listen = { BMAAS_ADMIN_LISTEN: "[::]:9000", BMAAS_ADMIN_TLS_CERT: "c.pem", BMAAS_ADMIN_TLS_KEY: "k.pem" };
    expect(await find({ BMAAS_HOME: home, ...listen })).toMatchObject({ url: "https://[::1]:9000" });
  });

  test("its token is named when there is none, or none that could be one", async () => {
    const home = await makeHome({ withToken: false });
    await expect(find({ BMAAS_HOME: home })).rejects.toThrow(/^there is no token \(.*\): set BMAAS_ADMIN_TOKEN/);
    await writeFile(join(home, "admin.token"), "two\nlines\n");
    await expect(find({ BMAAS_HOME: home })).rejects.toThrow(/admin\.token: not a token$/);
  });

  test("what lies in its home and is no URL does not count", async () => {
    const home = await makeHome({ url: "file:///etc/passwd" });
    expect(await find({ BMAAS_HOME: home })).toMatchObject({ url: "http://127.0.0.1:8480" });
  });
});

describe("a token", () => {
  test.each([
    "http://admin.example:8480",
    "http://10.0.0.1",
    "http://127.0.0.1.example:8480",
    "http://[2001:db8::1]:8480",
  ])("does not go in plaintext to %s, unless that is said to be fine", async (url) => {
    const environment = { BMAAS_ADMIN_URL: url, BMAAS_ADMIN_TOKEN: token };
    const failure = await find(environment).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect((failure as Error).message).toMatch(/plain http to another machine/);
    expect((failure as Error).message).not.toContain(token);
    expect(await find({ ...environment, BMAAS_ADMIN_PLAINTEXT: "on" })).toMatchObject({ url, token });
  });

  test.each(["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://admin.example"])(
    "goes to %s",
    async (url) => {
      expect(await find({ BMAAS_ADMIN_URL: url, BMAAS_ADMIN_TOKEN: token })).toMatchObject({ url, token });
    },
  );

  test.each([
    ["HTTPS://Admin.Example/", "https://admin.example"],
    [" http://127.0.0.1:1\n", "http://127.0.0.1:1"],
    ["https://admin.example/bmaas/", "https://admin.example/bmaas"],
  ])("goes to the URL %j in its usual form", async (given, url) => {
    expect(await find({ BMAAS_ADMIN_URL: given, BMAAS_ADMIN_TOKEN: token })).toMatchObject({ url });
  });

  test("of the local server goes to no other one", async () => {
    const home = await makeHome();
    const environment = { BMAAS_HOME: home, BMAAS_ADMIN_URL: "https://admin.example" };
    await expect(find(environment)).rejects.toThrow(/BMAAS_ADMIN_TOKEN is missing: https:\/\/admin\.example/);
    expect(await find({ ...environment, BMAAS_ADMIN_URL: "http://localhost:1" })).toMatchObject({ token });
  });
});

describe("a server that the command has to take at its word", () => {
  test("has to prove that it is the one of the home", async () => {
    const home = await makeHome();
    const key = await findServerKey(home);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await find({ BMAAS_HOME: home })).toMatchObject({ key });
    expect(await find({ BMAAS_HOME: home, BMAAS_ADMIN_TOKEN: token })).toMatchObject({ key });
    expect(await find({ BMAAS_HOME: home, BMAAS_ADMIN_URL: "http://localhost:1" })).toMatchObject({ key });
  });

  test("is sent nothing when nothing could prove it", async () => {
    const home = await makeHome({ withKey: false });
    const failure = await find({ BMAAS_HOME: home }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect((failure as Error).message).toMatch(/it sends no token \(.*server\.key does not exist.*--admin-url/);
    expect((failure as Error).message).not.toContain(token);
  });

  test("need not when it was named with its token, or proves itself by TLS", async () => {
    const home = await makeHome({ withKey: false, url: "https://127.0.0.1:9443" });
    expect(await find({ BMAAS_HOME: home })).toMatchObject({ key: undefined });
    const named = { BMAAS_HOME: home, BMAAS_ADMIN_URL: "http://localhost:1", BMAAS_ADMIN_TOKEN: token };
    expect(await find(named)).toMatchObject({ key: undefined });
  });
});

describe("a server with TLS of a private CA", () => {
  let admin: OperatorCommand;
  let tls: DevelopmentTls;

  beforeAll(async () => {
    const database = await createTestDatabase();
    tls = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
    const files = { BMAAS_ADMIN_TLS_CERT: tls.certFile, BMAAS_ADMIN_TLS_KEY: tls.keyFile };
    const server = await startTestServer(database.url, files);
    afterAll(async () => {
      await server.close();
      await database.close();
    });
    admin = operatorCommand(server.adminUrl, (await tokenOf(database.db, "admin")).secret);
  });

  test("is trusted by that CA", async () => {
    const { status, stdout, stderr } = await admin.run("tokens", "whoami", "--admin-ca", tls.caFile);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^you are +token:test-admin-\S+\nrole +admin\nserver +https:\/\/127\.0\.0\.1:\d+\n/);
  });

  test("is trusted by no other, and ends with 6", async () => {
    expect(await admin.run("tokens", "whoami")).toEqual({
      status: 6,
      stdout: "",
      stderr: expect.stringMatching(
        /^bmaas: the certificate of https:\S+ is from an untrusted CA: name the CA with --admin-ca\n$/,
      ),
    });
  });

  test("is not reached with a file that holds no CA", async () => {
    const environment = { BMAAS_ADMIN_URL: "https://127.0.0.1:1", BMAAS_ADMIN_TOKEN: token };
    await expect(find({ ...environment, BMAAS_ADMIN_CA: tls.keyFile })).rejects.toThrow(/holds no PEM certificate$/);
    await expect(find({ ...environment, BMAAS_ADMIN_CA: "nowhere.pem" })).rejects.toThrow(/^BMAAS_ADMIN_CA: .*nowhere/);
  });
});
