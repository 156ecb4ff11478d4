/**
 * Commands that act on several machines: the set is settled and asked about first, and each machine's outcome is told.
 */
import { randomUUID } from "node:crypto";
import { inArray } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { osInstallationRequest, provided } from "../../../src/db/schema/index.ts";
import type { TestDatabase } from "../../support/database.ts";
import { moveInstallation } from "../../support/installation.ts";
import { bareMachine, requestInstallation } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { hasTerminals, type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase } from "../../support/server.ts";

let database: TestDatabase;
let operator: OperatorCommand;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  ({ database } = started);
  operator = operatorCommand(started.server.adminUrl, (await tokenOf(database.db, "operator")).secret);
});

/** Machines at a place of their own, each with an installation that failed, sorted by id. */
async function failedMachines(count: number): Promise<{ location: string; machineIds: string[] }> {
  const location = `loc-${randomUUID()}`;
  const machineIds: string[] = [];
  for (let made = 0; made < count; made++) {
    const machineId = await bareMachine(database.db);
    await database.db.insert(provided).values({ machineId, provider: "p", providerId: machineId, location });
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "failed");
    machineIds.push(machineId);
  }
  return { location, machineIds: machineIds.sort() };
}

async function listGenerations(machineIds: string[]): Promise<string[]> {
  const rows = await database.db
    .select()
    .from(osInstallationRequest)
    .where(inArray(osInstallationRequest.machineId, machineIds));
  return rows.map(({ machineId, generation }) => `${machineId} ${generation}`).sort();
}

test("does nothing to more than one without being told, where nobody can be asked", async () => {
  const { location, machineIds } = await failedMachines(2);
  const [selected, named] = await Promise.all([
    operator.run("install", "retry", "--selector", `location=${location}`),
    operator.run("install", "retry", ...machineIds),
  ]);
  const expected = {
    status: 2,
    stdout: "",
    stderr:
      "bmaas: Install again on 2 machines and wipe this disk of each? There is no terminal to ask on: add --yes to proceed\n",
  };
  expect([selected, named]).toEqual([expected, expected]);
  expect(await listGenerations(machineIds)).toEqual(machineIds.map((id) => `${id} 1`));
});

test("acts on one that is selected without asking", async () => {
  const { location, machineIds } = await failedMachines(1);
  const { status, stdout } = await operator.run("install", "retry", "--selector", `location=${location}`);
  expect([status, stdout]).toEqual([0, `${machineIds[0]}  generation 2 pending: waiting for a heartbeat\n`]);
});

test("tells of each, and ends with the status that all who failed share", async () => {
  const { location, machineIds } = await failedMachines(3);
  const [refused = ""] = machineIds;
  await requestInstallation(database.db, refused);
  const all = ["install", "retry", "--selector", `location=${location}`, "--yes"];
  const { status, stdout, stderr } = await operator.run(...all);
  expect(status).toBe(4);
  expect(stdout.trimEnd().split("\n").sort()).toEqual(
    machineIds.slice(1).map((id) => `${id}  generation 2 pending: waiting for a heartbeat`),
  );
  const [failure, summary, ...rest] = stderr.trimEnd().split("\n");
  expect(failure).toMatch(new RegExp(`^bmaas: ${refused}: .`));
  expect([summary, rest]).toEqual(["bmaas: 1 of 3 machines failed", []]);
});

test("tells of all in one document with --json", async () => {
  const { location, machineIds } = await failedMachines(2);
  const [pending = "", failed = ""] = machineIds;
  await requestInstallation(database.db, pending);
  const cancel = ["install", "cancel", "--selector", `location=${location}`, "--yes", "--json"];
  const { status, stdout } = await operator.run(...cancel);
  expect(status).toBe(4);
  expect(JSON.parse(stdout)).toEqual({
    results: [
      { machineId: pending, installation: expect.objectContaining({ state: "INSTALLATION_STATE_CANCELLED" }) },
      { machineId: failed, error: { code: "failed_precondition", message: expect.stringMatching(/./), status: 4 } },
    ],
  });
});

describe.skipIf(!hasTerminals)("on a terminal (skipped without script of util-linux)", () => {
  const question = "Install again on 2 machines and wipe this disk of each? [y/N]";

  test("asks with the number of machines, and does nothing unless the answer is yes", async () => {
    const { location, machineIds } = await failedMachines(2);
    const refuse = async (answer: string) => {
      const terminal = await operator.startOnTerminal("install", "retry", "--selector", `location=${location}`);
      await terminal.waitFor(question);
      for (const machineId of machineIds) expect(terminal.shown()).toContain(machineId);
      terminal.type(answer);
      expect(await terminal.exited).toBe(1);
      expect(terminal.shown()).toContain("bmaas: nothing was done");
    };
    await Promise.all([refuse("n\r"), refuse("\u0003")]);
    expect(await listGenerations(machineIds)).toEqual(machineIds.map((id) => `${id} 1`));
  });

  test("acts on what was selected when it asked, and on nothing that came since", async () => {
    const { location, machineIds } = await failedMachines(2);
    const [changed = "", unchanged = ""] = machineIds;
    const terminal = await operator.startOnTerminal("install", "retry", "--selector", `location=${location}`);
    await terminal.waitFor(question);
    const { db } = database;
    const late = await bareMachine(db);
    await db.insert(provided).values({ machineId: late, provider: "p", providerId: late, location });
    for (const machineId of [changed, late]) {
      await moveInstallation(db, machineId, await requestInstallation(db, machineId), "failed");
    }
    terminal.type("y\r");
    expect(await terminal.exited).toBe(4);
    expect(terminal.shown()).toContain(`${unchanged}  generation 2 pending`);
    expect(terminal.shown()).toContain(`bmaas: ${changed}: `);
    const expected = [`${changed} 1`, `${changed} 2`, `${unchanged} 1`, `${unchanged} 2`, `${late} 1`];
    expect(await listGenerations([...machineIds, late])).toEqual(expected.sort());
  });
});

describe("a machine that is named twice", () => {
  const once = (id: string) => `bmaas: ${id} is named more than once, and counts once\n`;

  test("counts once, and the command says so", async () => {
    const {
      machineIds: [machineId = ""],
    } = await failedMachines(1);
    const { status, stdout, stderr } = await operator.run("install", "retry", machineId, machineId.toUpperCase());
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${machineId}  generation 2 pending: waiting for a heartbeat\n`,
      stderr: once(machineId),
    });
  });

  test("is labelled once, and an enrolment is rejected once", async () => {
    const machineId = await bareMachine(database.db);
    expect(await operator.run("machines", "label", machineId, machineId, "rack=r1")).toMatchObject({
      status: 0,
      stderr: once(machineId),
    });
    const enrolmentId = randomUUID();
    const { stderr } = await operator.run("enrolments", "reject", enrolmentId, enrolmentId);
    expect(stderr).toContain(once(enrolmentId));
  });
});
