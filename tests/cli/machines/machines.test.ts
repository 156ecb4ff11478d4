/** `bmaas machines` as an operator runs it. */
import { randomUUID } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { agentStarted, machine, machineHistory, provided } from "../../../src/db/schema/index.ts";
import type { TestDatabase } from "../../support/database.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase, type TestServer } from "../../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let admin: OperatorCommand;
let viewer: OperatorCommand;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  admin = operatorCommand(server.adminUrl, (await tokenOf(database.db, "admin")).secret);
  viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
});

async function providedMachine(location: string): Promise<string> {
  const machineId = await bareMachine(database.db);
  await database.db.insert(provided).values({ machineId, provider: "p", providerId: machineId, location });
  return machineId;
}

describe("create", () => {
  test("prints the new machine's id alone, and stores what the provider says", async () => {
    const providerId = randomUUID();
    const place = ["--provider", "equinix", "--provider-id", providerId, "--location", "am6", "--status", "running"];
    const { status, stdout, stderr } = await admin.run("machines", "create", ...place);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}\n$/),
      stderr: "created the machine with id:\n",
    });
    const [row] = await database.db.select().from(provided).where(eq(provided.machineId, stdout.trim()));
    expect(row).toMatchObject({ provider: "equinix", providerId, location: "am6", status: "running" });
  });

  test("ends with 4, and names the machine that has the provider's id already", async () => {
    const providerId = randomUUID();
    const create = ["machines", "create", "--provider", "equinix", "--provider-id", providerId];
    const first = (await admin.run(...create)).stdout.trim();
    const { status, stdout, stderr } = await admin.run(...create);
    expect({ status, stdout }).toEqual({ status: 4, stdout: "" });
    expect(stderr).toMatch(/^bmaas: [^\n]*\n$/);
    expect(stderr).toContain(first);
  });
});

describe("list", () => {
  test("shows those that fulfil the selector, on a table and as one document", async () => {
    const location = `loc-${randomUUID()}`;
    const ids = await Promise.all([providedMachine(location), providedMachine(location)]);
    ids.sort();
    const [table, list, none] = await Promise.all([
      viewer.run("machines", "list", "--selector", `location=${location}`),
      viewer.json("machines", "list", "--selector", `location=${location},state=no_agent`, "--limit", "1"),
      viewer.json("machines", "list", "--selector", `location=${location},state=stale`),
    ]);
    const [header, ...rows] = table.stdout.trimEnd().split("\n");
    expect(header).toMatch(/^ID +STATE +SINCE +PROVIDER +LOCATION +HEARTBEAT +MEMORY +THREADS +DISK$/);
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 2))).toEqual(ids.map((id) => [id, "no_agent"]));
    expect(table.stderr).toBe("2 machines\n");
    expect(table.stdout).not.toContain("\u001b");
    expect(list.machines).toMatchObject([{ id: ids[0], state: "MACHINE_STATE_NO_AGENT" }]);
    expect(list.watchToken).toMatch(/./);
    expect(none.machines).toEqual([]);
  });
});

test("get shows all that is known, and its JSON is the contract's", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  const [shown, json] = await Promise.all([
    viewer.run("machines", "get", machineId),
    viewer.json("machines", "get", machineId),
  ]);
  expect(shown.stdout).toMatch(
    new RegExp(`^machine +${machineId}\nstate +installation_pending\nsince +\\d{4}-.*Z \\(`),
  );
  expect(shown.stdout).toMatch(new RegExp(`\nagent's key +${key.publicKeyHex}\n`));
  expect(shown.stdout).toMatch(/\ninstallation +generation 1: https:\/\/images\.example\/os\.img on sda\n/);
  expect(json.machine).toMatchObject({
    id: machineId,
    agent: { publicKey: Buffer.from(key.publicKey).toString("base64") },
    installation: { generation: "1", state: "INSTALLATION_STATE_PENDING" },
  });
});

test("explain says why, what happens next, and what can be done", async () => {
  const { machineId } = await machineWithAgent(database.db);
  await database.db
    .update(agentStarted)
    .set({ startedAt: sql`now() - interval '1 hour'` })
    .where(eq(agentStarted.machineId, machineId));
  const { status, stdout } = await viewer.run("machines", "explain", machineId);
  expect(status).toBe(0);
  const fields = stdout.split("\n").filter((line) => !line.startsWith(" "));
  expect(fields).toEqual([
    `machine  ${machineId}`,
    "state    never_heartbeated",
    expect.stringMatching(/^since {4}\d{4}-/),
    expect.stringMatching(/^because {2}.*no heartbeat/),
    expect.stringMatching(/^issues {3}never_heartbeated \(info\), since /),
    expect.stringMatching(/^next {5}./),
    expect.stringMatching(/^you can {2}./),
    "",
  ]);
  expect(stdout).toContain(`bmaas history ${machineId}\n`);
});

test("set-provided replaces all of it, and takes it away", async () => {
  const machineId = await bareMachine(database.db);
  const select = () => database.db.select().from(provided).where(eq(provided.machineId, machineId));
  const place = ["--provider", "p", "--provider-id", machineId];
  await database.db.insert(provided).values({ machineId, provider: "p", providerId: machineId, location: "am6" });
  await admin.run("machines", "set-provided", machineId, ...place, "--address", "192.0.2.1");
  expect(await select()).toMatchObject([{ provider: "p", location: null, address: "192.0.2.1" }]);
  expect(await admin.json("machines", "set-provided", machineId, "--none")).not.toHaveProperty("machine.provided");
});

test("delete refuses with 4 while an installation is open, unless told, and records who did it", async () => {
  const machineId = await bareMachine(database.db);
  await requestInstallation(database.db, machineId);
  const { db } = database;
  const refused = await admin.run("machines", "delete", machineId);
  expect(refused).toMatchObject({ status: 4, stdout: "", stderr: expect.stringMatching(/^bmaas: [^\n]+\n$/) });
  expect(await db.select().from(machine).where(eq(machine.id, machineId))).toHaveLength(1);
  expect(await admin.run("machines", "delete", machineId, "--force")).toEqual({
    status: 0,
    stdout: `${machineId}  deleted\n`,
    stderr: "",
  });
  expect(await db.select().from(machine).where(eq(machine.id, machineId))).toEqual([]);
  const events = await db.select().from(machineHistory).where(eq(machineHistory.machineId, machineId));
  expect(events).toContainEqual(
    expect.objectContaining({ kind: "machine_deleted", actor: expect.stringMatching(/^token:test-admin/) }),
  );
});

test("what goes wrong is one line, and a status of its own", async () => {
  const machineId = await bareMachine(database.db);
  const unknown = "00000000-0000-4000-8000-000000000000";
  const [notFound, notAllowed, wrong] = await Promise.all([
    viewer.run("machines", "get", unknown),
    viewer.run("machines", "delete", machineId),
    viewer.run("machines", "list", "--selector", "stat=x"),
  ]);
  expect(notFound).toEqual({ status: 3, stdout: "", stderr: `bmaas: machine ${unknown} not found\n` });
  expect(notAllowed).toEqual({
    status: 5,
    stdout: "",
    stderr: "bmaas: DeleteMachine requires the role admin, and you have viewer\n",
  });
  expect(wrong).toEqual({
    status: 2,
    stdout: "",
    stderr: 'bmaas: --selector: "stat" is not a key, did you mean state?\n',
  });
  expect(await database.db.select().from(machine).where(eq(machine.id, machineId))).toHaveLength(1);
});
