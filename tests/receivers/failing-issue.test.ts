/** A failing receiver is an issue of the server: listed, counted and told to other receivers, until it is back. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { IssueService } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { countFleet } from "../../src/db/queries/fleet.ts";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { bareMachine } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { operatorCommand } from "../support/operator-command.ts";
import { allowLoopback, createReceiver, endWaits, letDayPass } from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { answers, startReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());
const server = await startTestServer(database.url, allowLoopback);
beforeAll(() => () => server.close());
const { secret: admin } = await tokenOf(db, "admin");
const issues = adminClient(IssueService, server.adminUrl, admin);
const receivers = adminClient(ReceiverService, server.adminUrl, admin);

const listFailing = async () => (await issues.listIssues({ types: ["receiver_failing"] })).issues;
const countFailing = async () => {
  await compareNow(db);
  return (await countFleet(db)).issues.filter(({ type }) => type === "receiver_failing").map((count) => count.issues);
};

test("it is listed, counted and told, keeps the time at which it began, and goes", { timeout: 120_000 }, async () => {
  const [broken, pager] = [await startReceiver(answers.refuse), await startReceiver()];
  await createReceiver(db, server.adminUrl, { name: "broken", url: broken.url, events: ["machine.created"] });
  await createReceiver(db, server.adminUrl, { name: "pager", url: pager.url, events: ["issue.*"] });
  await compareNow(db);
  const machineId = await bareMachine(db);
  await broken.waitFor(1);
  await waitUntil("the failure is recorded", async () =>
    (await receivers.listReceivers({})).receivers.some(({ failures }) => failures > 0n),
  );
  expect(await listFailing()).toEqual([]);
  await letDayPass(db, "broken");
  const [first] = await listFailing();
  expect(first).toMatchObject({ machineId: "", target: "broken", detail: "answered 500" });
  expect(await countFailing()).toEqual([1n]);
  const { stdout } = await operatorCommand(server.adminUrl, admin).run("issues", "--type", "receiver_failing");
  expect(stdout).toMatch(/^- +warning +receiver_failing .* a receiver does not accept .*: broken: answered 500$/m);
  // It belongs to no machine.
  const filter = { issueTypes: ["receiver_failing"] };
  expect((await adminClient(MachineService, server.adminUrl, admin).listMachines({ filter })).machines).toEqual([]);
  expect((await issues.listIssues({ filter: { machineIds: [machineId] } })).issues).toEqual([]);
  await endWaits(db, "broken");
  await waitUntil("the event is given up", async () => {
    const { deliveries } = await receivers.listDeliveries({ name: "broken", states: [3] });
    return deliveries.length === 1;
  });
  expect((await listFailing())[0]?.sinceTime).toEqual(first?.sinceTime);
  const toldOf = (type: string) =>
    waitUntil(`${type} is told`, () => pager.messages.find((message) => message.type === type), 60_000);
  const opened = await toldOf("issue.opened");
  expect(opened).toMatchObject({
    type: "issue.opened",
    machineId: "",
    data: {
      text: "the server: a receiver does not accept the events that it is sent: broken: answered 500",
      issue: { type: "receiver_failing", target: "broken", severity: "warning" },
    },
  });

  broken.answer(answers.accept);
  await receivers.resendDeliveries({ name: "broken" });
  await waitUntil("it is no issue", async () => (await listFailing()).length === 0);
  const closed = await toldOf("issue.closed");
  expect(closed).toMatchObject({ type: "issue.closed", machineId: "", data: { issue: { target: "broken" } } });
  const { deliveries } = await receivers.listDeliveries({ name: "pager" });
  expect(deliveries.map((delivery) => delivery.machineId)).toEqual(["", ""]);
});
