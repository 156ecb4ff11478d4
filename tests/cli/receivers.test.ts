/** `bmaas receivers` as an administrator runs it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { bareMachine } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { type OperatorCommand, operatorCommand } from "../support/operator-command.ts";
import { makeFolder } from "../support/program.ts";
import { allowLoopback, endWaits, letDayPass } from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { answers, createAuthority, isSignedWith, startReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const server = await startTestServer(database.url, allowLoopback);
let admin: OperatorCommand;
let viewer: OperatorCommand;

beforeAll(async () => {
  admin = operatorCommand(server.adminUrl, (await tokenOf(database.db, "admin")).secret);
  viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  return async () => {
    await server.close();
    await database.close();
  };
});

test("a receiver is created, probed, listed, rotated and deleted", async () => {
  const { ca, issue } = createAuthority();
  const receiver = await startReceiver(answers.accept, issue("127.0.0.1"));
  const caFile = join(await makeFolder(), "ca.pem");
  await writeFile(caFile, ca);
  const events = "machine.created,mashine.*";
  const created = await admin.run(
    "receivers",
    "create",
    "oncall",
    "--url",
    receiver.url,
    "--events",
    events,
    "--ca",
    caFile,
  );
  expect(created).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^whsec_\S+\n$/),
    stderr: expect.stringMatching(
      /^no event .* mashine\.\*\ncreated receiver oncall; its secret cannot be shown again:\n$/,
    ),
  });
  const secret = created.stdout.trim();
  expect(await admin.run("receivers", "probe", "oncall")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^oncall answered 204 after \d+ ms\n$/),
  });
  const machineId = await bareMachine(database.db);
  const [, message] = await receiver.waitFor(2);
  expect(message).toMatchObject({ machineId, type: "machine.created" });
  expect(message && isSignedWith(secret, message)).toBe(true);
  const listed = await waitUntil("it is listed as accepted", async () => {
    const { stdout } = await viewer.run("receivers", "list");
    return (
      /^oncall +https:\/\/127\.0\.0\.1:\d+ +machine\.created,mashine\.\* +1 +.*(?:ago|just now) +- +ok$/m.test(
        stdout,
      ) && stdout
    );
  });
  expect(listed).not.toContain("hidden");
  const rotated = await admin.run("receivers", "rotate", "oncall");
  expect(rotated).toMatchObject({ status: 0, stderr: expect.stringContaining("has 2 secrets") });
  expect(await admin.run("receivers", "rotate", "oncall", "--retire")).toMatchObject({ status: 0 });
  await admin.run("receivers", "probe", "oncall");
  const last = receiver.messages.at(-1);
  expect(last && [secret, rotated.stdout.trim()].map((each) => isSignedWith(each, last))).toEqual([false, true]);
  expect(await admin.run("receivers", "delete", "oncall")).toMatchObject({
    status: 0,
    stdout: "deleted receiver oncall\n",
  });
  expect(await viewer.run("receivers", "list")).toEqual({ status: 0, stdout: "", stderr: "there are no receivers\n" });
});

test("a failing receiver shows why, and what was given up is sent again", async () => {
  const receiver = await startReceiver(answers.refuse);
  await admin.run("receivers", "create", "broken", "--url", receiver.url, "--events", "machine.created");
  const probed = await admin.run("receivers", "probe", "broken");
  expect(probed).toMatchObject({ status: 1, stdout: "" });
  expect(probed.stderr).toMatch(/^bmaas: broken failed: answered 500 after \d+ ms: out of order\n$/);
  const machineId = await bareMachine(database.db);
  await receiver.waitFor(2);
  await waitUntil("the failure is recorded", async () =>
    /^broken .* retrying since .*: answered 500$/m.test((await viewer.run("receivers", "list")).stdout),
  );
  await letDayPass(database.db, "broken");
  await waitUntil("it is given up", async () => {
    await endWaits(database.db, "broken");
    const { stdout } = await viewer.run("receivers", "deliveries", "broken", "--state", "given_up");
    return (
      stdout.includes(machineId) &&
      /^msg_\w+ +machine\.created .* given_up +\d+ +answered 500: out of order$/m.test(stdout)
    );
  });
  expect((await viewer.run("receivers", "list")).stdout).toMatch(/^broken .* failing since .*: answered 500$/m);
  receiver.answer(answers.accept);
  expect(await admin.run("receivers", "resend", "broken")).toMatchObject({
    status: 0,
    stdout: "1 event is sent again\n",
  });
  await waitUntil("it is delivered", async () => {
    const { deliveries } = await viewer.json("receivers", "deliveries", "broken");
    return JSON.stringify(deliveries).includes("DELIVERY_STATE_DELIVERED");
  });
});

test("what is wrong is said, and a viewer changes nothing", async () => {
  const [refused, noFile, unknown, viewed] = await Promise.all([
    admin.run("receivers", "create", "private", "--url", "https://10.0.0.1/", "--events", "*"),
    admin.run("receivers", "create", "nofile", "--url", "https://hooks.example/", "--events", "*", "--ca", "none.pem"),
    admin.run("receivers", "probe", "nobody"),
    viewer.run("receivers", "create", "mine", "--url", "https://hooks.example/", "--events", "*"),
  ]);
  expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining("BMAAS_RECEIVER_ALLOW") });
  expect(noFile).toMatchObject({ status: 2, stderr: expect.stringContaining("none.pem") });
  expect(unknown).toMatchObject({ status: 3, stderr: "bmaas: no receiver is named nobody\n" });
  expect(viewed).toMatchObject({ status: 5, stderr: expect.stringContaining("requires the role admin") });
});
