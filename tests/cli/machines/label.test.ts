/** `bmaas machines label`, and labels wherever the command line shows or asks for them. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { TestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

let database: TestDatabase;
let operator: OperatorCommand;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  database = started.database;
  operator = operatorCommand(started.server.adminUrl, (await tokenOf(database.db, "operator")).secret);
});

test("sets and removes labels, which get and list show", async () => {
  const machineId = await bareMachine(database.db);
  const value = `r-${randomUUID()}`;
  const first = await operator.run("machines", "label", machineId, `rack=${value}`, "team=ops", "site=");
  expect(first).toEqual({ status: 0, stdout: `${machineId}  rack=${value} site= team=ops\n`, stderr: "" });
  const second = await operator.json("machines", "label", "team-", machineId, "role=db");
  expect(second).toMatchObject({ machine: { labels: { rack: value, role: "db", site: "" } } });
  const [get, list] = await Promise.all([
    operator.run("machines", "get", machineId),
    operator.run("machines", "list", "--selector", `label.rack=${value},!label.team`, "-L", "rack,absent"),
  ]);
  expect(get.stdout).toMatch(new RegExp(`\nlabels +rack=${value} role=db site=\n`));
  const [header, ...rows] = list.stdout.trimEnd().split("\n");
  expect(header).toMatch(/ DISK +RACK +ABSENT$/);
  expect(rows.map((row) => row.split(/ {2,}/).at(0))).toEqual([machineId]);
  expect(rows[0]).toMatch(new RegExp(` ${value} +-$`));
  const none = await operator.run("machines", "label", machineId, "rack-", "role-", "site-");
  expect(none.stdout).toBe(`${machineId}  no labels\n`);
});

test("shows each label in one column, however often it is named", async () => {
  const columns = ["-L", "rack,rack", "-L", "site,rack"];
  const list = await operator.run("machines", "list", ...columns);
  expect(list.stdout.split("\n", 1)[0]).toMatch(/ DISK +RACK +SITE$/);
});

test("the help names what it takes", async () => {
  const { stdout } = await operator.run("machines", "label", "--help");
  expect(stdout).toMatch(/^Usage: bmaas machines label \[options\] <id\|KEY=VALUE\|KEY-\.\.\.>\n/);
});

test("shows no label where a machine lacks one that every object has a property of", async () => {
  const value = `p-${randomUUID()}`;
  const machineId = await bareMachine(database.db);
  await operator.run("machines", "label", machineId, `rack=${value}`);
  const list = await operator.run(
    "machines",
    "list",
    "--selector",
    `label.rack=${value}`,
    "-L",
    "toString,constructor",
  );
  expect(list).toMatchObject({ status: 0, stdout: expect.stringMatching(new RegExp(`^${machineId} .* - +-$`, "m")) });
  const status = await operator.run("status", "--by", "label.toString");
  expect(status).toMatchObject({ status: 0, stdout: expect.stringMatching(/^TOSTRING .*\n- /) });
});

test("labels what a selector finds, once it is told to go ahead", async () => {
  const value = `s-${randomUUID()}`;
  const create = () => operator.run("machines", "create", "--label", `batch=${value}`, "--label", "stage=new");
  const ids = (await Promise.all([create(), create()])).map(({ stdout }) => stdout.trim()).toSorted();
  const label = ["machines", "label", "--selector", `label.batch=${value}`, "stage=used"];
  const asked = await operator.run(...label);
  expect(asked).toMatchObject({
    status: 2,
    stdout: "",
    stderr: expect.stringContaining("Label 2 machines? There is no terminal"),
  });
  const { status, stdout } = await operator.run(...label, "--yes");
  expect([status, stdout.trimEnd().split("\n").toSorted()]).toEqual([
    0,
    ids.map((id) => `${id}  batch=${value} stage=used`),
  ]);
});

describe("refuses", () => {
  test.each([
    ["no label", [], /name a label: KEY=VALUE sets it, KEY- removes it/],
    [
      "what is neither an id nor a label",
      ["rack"],
      /"rack" is neither a machine id nor a label: KEY=VALUE sets a label, KEY- removes it/,
    ],
    ["a bad key", ["-rack=1"], /"-rack" is not a label's key: write at most 63/],
    ["a bad value", ["rack=a b"], /"a b" is not a label's value/],
    ["a key twice", ["rack=1", "rack-"], /rack is given twice/],
  ])("%s, before anybody is asked", async (_, words, stderr) => {
    const machineId = randomUUID();
    const result = await operator.run("machines", "label", machineId, "--", ...words);
    expect(result).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(stderr) });
  });

  test("columns and groups that are no labels", async () => {
    expect(await operator.run("machines", "list", "-L", "a,b c")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/"b c" is not a label's key/),
    });
    expect(await operator.run("status", "--by", "rack")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/Expected provider, location or label\.KEY/),
    });
    expect(await operator.run("status", "--by", "label.a b")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/"a b" is not a label's key/),
    });
    expect(await operator.run("machines", "create", "--label", "rack")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/Expected KEY=VALUE/),
    });
  });
});
