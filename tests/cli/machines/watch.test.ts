/** `bmaas machines watch` as programs and people use it. */
import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { operatorCommand } from "../../support/operator-command.ts";
import { startTestServer } from "../../support/server.ts";
import { findSteadyAddress } from "../../support/steady-port.ts";
import { waitUntil } from "../../support/wait.ts";

function readEvents(stdout: string): JsonObject[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JsonObject);
}

test("tells every change as a line of JSON, those while the server was away included", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const { db } = database;
  const address = { BMAAS_ADMIN_LISTEN: await findSteadyAddress() };
  const first = await startTestServer(database.url, address);
  const viewer = operatorCommand(first.adminUrl, (await tokenOf(db, "viewer")).secret);
  const before = await bareMachine(db);
  const { watchToken } = await viewer.json("machines", "list");
  const created = [await bareMachine(db)];

  const watch = viewer.start("machines", "watch", "--json", "--from", watchToken as string);
  const seen = () => readEvents(watch.output.stdout).map(({ machineId }) => machineId);
  await waitUntil("the watch tells the first machine", () => seen().includes(created[0] as string));
  await first.close();
  await waitUntil("the watch notices", () => watch.output.stderr.includes("the server is unreachable"));
  created.push(await bareMachine(db), await bareMachine(db));
  const second = await startTestServer(database.url, address);
  onTestFinished(() => second.close());
  await waitUntil("the watch tells the last machine", () => seen().includes(created[2] as string));

  const events = readEvents(watch.output.stdout);
  // A token tells a change again that was young beside a transaction under way, in whichever database of the
  // PostgreSQL.
  const isNew = ({ machineId }: JsonObject) => machineId !== before;
  expect([...new Set(seen())].filter((machineId) => machineId !== before)).toEqual(created);
  expect(events.find(isNew)).toMatchObject({
    kind: "machine_created",
    machine: { state: "MACHINE_STATE_NOT_PROVIDED" },
  });
  expect(watch.output.stderr).toMatch(/^bmaas: the server is unreachable; waiting for it\nbmaas: watching again\n$/);
});

test("tells people in one line what happened, to which machine, and by whom", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const server = await startTestServer(database.url);
  onTestFinished(() => server.close());
  const viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  const { watchToken } = await viewer.json("machines", "list");
  const { machineId } = await machineWithAgent(database.db);
  await bareMachine(database.db);
  await requestInstallation(database.db, machineId);
  const watch = viewer.start("machines", "watch", "--from", watchToken as string, "--selector", `id=${machineId}`);
  await waitUntil("the watch tells the request", () => watch.output.stdout.includes("installation_requested"));
  expect(watch.output.stdout.trimEnd().split("\n")).toEqual(
    ["machine_created", "agent_registered", "installation_requested 1"].map((what) =>
      expect.stringMatching(new RegExp(`^\\d{4}-\\S+ \\S+Z  ${machineId}  installation_pending  ${what}  by test$`)),
    ),
  );
});

test("ends with 2 for what is no token, and with 6 where no server answers", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const server = await startTestServer(database.url);
  const viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  expect(await viewer.run("machines", "watch", "--from", randomUUID())).toMatchObject({ status: 2, stdout: "" });
  await server.close();
  const away = await viewer.run("machines", "watch");
  expect(away).toMatchObject({ status: 6, stdout: "" });
  expect(away.stderr).toMatch(/bmaas: no server answers at http:/);
});
