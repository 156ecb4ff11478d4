/** `bmaas tokens` as an administrator runs it. */
import { beforeAll, expect, test } from "vitest";
import { readSecretId } from "../../src/contract/secret-id.ts";
import type { TestDatabase } from "../support/database.ts";
import { tokenOf } from "../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../support/operator-command.ts";
import { startServerWithDatabase, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let admin: OperatorCommand;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  admin = operatorCommand(server.adminUrl, (await tokenOf(database.db, "admin")).secret);
});

test("a token is made, shown once, listed without its secret, and revoked", async () => {
  const made = await admin.run("tokens", "create", "alice", "--role", "viewer", "--expires", "30d");
  expect(made).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^bmaas_[0-9a-f]{16}_[\w-]{43}\n$/),
    stderr: expect.stringMatching(
      /^created token [0-9a-f]{16}, valid until \d{4}-\S+ \S+Z \(in 30 d\); its secret cannot be shown again:\n$/,
    ),
  });
  const secret = made.stdout.trim();
  const alice = operatorCommand(server.adminUrl, secret);
  expect(await alice.json("tokens", "whoami")).toEqual({ actor: "token:alice", role: "ROLE_VIEWER" });

  const list = await admin.run("tokens", "list");
  const [, id = ""] = /^([0-9a-f]{16}) {2}alice +viewer +.* in 30 d$/m.exec(list.stdout) ?? [];
  expect(secret).toContain(id);
  expect(list.stdout).not.toContain(secret);

  expect(await admin.run("tokens", "revoke", id)).toEqual({
    status: 0,
    stdout: `revoked token ${id} of alice\n`,
    stderr: "",
  });
  const refused = await alice.run("tokens", "whoami");
  expect(refused).toMatchObject({ status: 5, stdout: "", stderr: expect.stringContaining("BMAAS_ADMIN_TOKEN") });
  expect(refused.stderr).not.toContain(secret);
});

test("a name is no id, and what a name may be is told in words", async () => {
  const [revoked, created] = await Promise.all([
    admin.run("tokens", "revoke", "alice"),
    admin.run("tokens", "create", "the console", "--role", "viewer"),
  ]);
  expect(revoked).toMatchObject({
    status: 2,
    stderr: "bmaas: token_id: must be the id of a token, 16 hexadecimal digits\n",
  });
  expect(created).toMatchObject({ status: 2, stderr: expect.stringMatching(/^bmaas: name: must be 1 to 64 letters/) });
});

test("a role is needed, and one of those that there are", async () => {
  const [none, unknown] = await Promise.all([
    admin.run("tokens", "create", "bob"),
    admin.run("tokens", "create", "bob", "--role", "root"),
  ]);
  expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining("--role <role>") });
  expect(unknown).toMatchObject({ status: 2, stderr: expect.stringContaining("viewer, operator, admin") });
});

test("the token that the command itself uses is revoked only after a warning", async () => {
  const { secret } = await tokenOf(database.db, "admin");
  const id = readSecretId(secret) as string;
  const own = operatorCommand(server.adminUrl, secret);
  expect(await own.run("tokens", "revoke", id)).toEqual({
    status: 2,
    stdout: "",
    stderr: expect.stringMatching(
      /^bmaas: [0-9a-f]{16} is the token that you use now, from BMAAS_ADMIN_TOKEN\. .*There is no terminal .*--yes .*\n$/,
    ),
  });
  expect(await own.run("tokens", "whoami")).toMatchObject({ status: 0 });
  expect(await own.run("tokens", "revoke", id, "--yes")).toMatchObject({ status: 0, stderr: "" });
  expect(await own.run("tokens", "whoami")).toMatchObject({ status: 5 });
});
