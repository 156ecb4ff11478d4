/** `bmaas agents` as an operator runs it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import { beforeAll, expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { agentStarted } from "../../src/db/schema/index.ts";
import type { TestDatabase } from "../support/database.ts";
import { bareMachine, machineWithAgent } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../support/operator-command.ts";
import { makeFolder } from "../support/program.ts";
import { startServerWithDatabase } from "../support/server.ts";

let database: TestDatabase;
let operator: OperatorCommand;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  ({ database } = started);
  operator = operatorCommand(started.server.adminUrl, (await tokenOf(database.db, "operator")).secret);
});

async function findKey(machineId: string): Promise<string | undefined> {
  const [row] = await database.db.select().from(agentStarted).where(eq(agentStarted.machineId, machineId));
  return row && Buffer.from(row.publicKey).toString("hex");
}

test("register takes a key as an argument or from a file, and is refused with 4 when another machine has it", async () => {
  const [machineId, other] = [await bareMachine(database.db), await bareMachine(database.db)];
  const { publicKeyHex } = await generateAgentKey();
  expect(await operator.run("agents", "register", machineId, publicKeyHex)).toEqual({
    status: 0,
    stdout: `${machineId}  agent registered\n`,
    stderr: "",
  });
  expect(await findKey(machineId)).toBe(publicKeyHex);
  const file = join(await makeFolder(), "agent.pub");
  await writeFile(file, `${publicKeyHex}\n`);
  const taken = await operator.run("agents", "register", other, "--public-key-file", file);
  expect(taken).toMatchObject({ status: 4, stdout: "", stderr: expect.stringContaining(machineId) });
  expect(await findKey(other)).toBeUndefined();
});

test("replace puts a new key in the place of the expected one only", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const [next, later] = [await generateAgentKey(), await generateAgentKey()];
  const replace = ["agents", "replace", machineId, next.publicKeyHex, "--expected-key"];
  expect(await operator.run(...replace, later.publicKeyHex)).toMatchObject({ status: 4, stdout: "" });
  expect(await findKey(machineId)).toBe(key.publicKeyHex);
  expect(await operator.run(...replace, key.publicKeyHex)).toMatchObject({ status: 0 });
  expect(await findKey(machineId)).toBe(next.publicKeyHex);
});

test("revoke takes the key away", async () => {
  const { machineId } = await machineWithAgent(database.db);
  expect(await operator.run("agents", "revoke", machineId)).toMatchObject({ status: 0 });
  expect(await findKey(machineId)).toBeUndefined();
});

test("what is no key is refused with 2 before anybody is asked", async () => {
  const machineId = await bareMachine(database.db);
  const [word, none, both] = await Promise.all([
    operator.run("agents", "register", machineId, "00".repeat(32)),
    operator.run("agents", "register", machineId),
    operator.run("agents", "register", machineId, (await generateAgentKey()).publicKeyHex, "--public-key-file", "x"),
  ]);
  expect(word).toMatchObject({ status: 2, stderr: expect.stringContaining("small order") });
  expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining("give the public key, or its file") });
  expect(both).toMatchObject({ status: 2, stderr: expect.stringContaining("not both") });
});
