/** `bmaas machines hold` and `release`, and held machines wherever the command line shows them. */
import { beforeAll, expect, test } from "vitest";
import type { TestDatabase } from "../../support/database.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

let database: TestDatabase;
let operator: OperatorCommand;
let actor: string;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  database = started.database;
  const token = await tokenOf(database.db, "operator");
  actor = `token:${token.name}`;
  operator = operatorCommand(started.server.adminUrl, token.secret);
});

const digest = `sha256:${"ab".repeat(32)}`;
const image = [
  "--image",
  "https://images.example/os.img",
  "--digest",
  digest,
  "--root-device",
  "sda",
  "--unchecked-disk",
];

test("a held machine is refused with 4, is shown as held, and is released", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const held = await operator.run(
    "machines",
    "hold",
    machineId,
    "--reason",
    "bench",
    "--ticket",
    "T-7",
    "--for",
    "4h",
    "--mute",
  );
  expect(held).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(
      `^${machineId}  held by ${actor} until \\d{4}-.*Z \\(in [34] h.*\\), out of alerts: bench \\(T-7\\)\n$`,
    ),
  });
  const refused = await operator.run("install", "request", machineId, ...image);
  expect(refused).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/is held by .*: bench \(T-7\); release it first/),
  });
  const again = await operator.run("machines", "hold", machineId, "--reason", "power");
  expect(again.stdout).toMatch(/held by \S+: power, in place of the hold by .*: bench \(T-7\)\n$/);
  const [get, list] = await Promise.all([
    operator.run("machines", "get", machineId),
    operator.run("machines", "list", "--selector", "held=yes"),
  ]);
  expect(get.stdout).toMatch(new RegExp(`\nheld +by ${actor}: power\n`));
  expect(list.stdout).toMatch(new RegExp(`${machineId}  never_heartbeated, held  `));
  expect(await operator.run("machines", "release", machineId)).toEqual({
    status: 0,
    stdout: `${machineId}  released\n`,
    stderr: "",
  });
  expect((await operator.run("machines", "list", "--selector", "held=yes")).stdout).toBe("");
});

test("of the machines to release, those that were not held are told", async () => {
  const [held, free] = await Promise.all([machineWithAgent(database.db), machineWithAgent(database.db)]);
  await operator.run("machines", "hold", held.machineId, "--reason", "bench");
  const both = await operator.run("machines", "release", held.machineId, free.machineId, "--yes");
  expect(both.status).toBe(0);
  expect(both.stdout.trim().split("\n").toSorted()).toEqual(
    [`${held.machineId}  released`, `${free.machineId}  was not held`].toSorted(),
  );
  const [again, json] = await Promise.all([
    operator.run("machines", "release", held.machineId),
    operator.run("machines", "release", held.machineId, free.machineId, "--yes", "--json"),
  ]);
  expect(again).toEqual({ status: 0, stdout: `${held.machineId}  was not held\n`, stderr: "" });
  expect(JSON.parse(json.stdout).results.map((result: object) => "cleared" in result)).toEqual([false, false]);
});

test("of several machines, those that are not held go on, and the status says that some did not", async () => {
  const [one, two] = await Promise.all([machineWithAgent(database.db), machineWithAgent(database.db)]);
  await operator.run("machines", "hold", one.machineId, "--reason", "bench");
  const { status, stdout, stderr } = await operator.run(
    ...["install", "request", one.machineId, two.machineId, "--yes"],
    ...image,
  );
  expect(status).toBe(4);
  expect(stdout).toContain(two.machineId);
  expect(stderr).toMatch(new RegExp(`bmaas: ${one.machineId}: .* is held by`));
  expect(stderr).toMatch(/1 of 2 machines failed/);
});

test("what is wrong is said before anything is done", async () => {
  const { machineId } = await machineWithAgent(database.db);
  expect(await operator.run("machines", "hold", machineId)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("--reason"),
  });
  expect(await operator.run("machines", "hold", machineId, "--reason", "x", "--for", "soon")).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("is not a duration"),
  });
  expect(await operator.run("machines", "hold", machineId, "--reason", "x", "--for", "0h")).toMatchObject({
    status: 2,
    stderr: "error: option '--for <duration>' argument '0h' is invalid. It must last for longer than that.\n",
  });
  expect(await operator.run("machines", "list", "--selector", "held=perhaps")).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/held: "perhaps" is neither yes nor no/),
  });
});
