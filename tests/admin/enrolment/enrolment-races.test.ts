/** Operators who decide about one enrolment at once, and an agent that asks meanwhile, on two server processes. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { enrolmentClient, findEnrolment, knock, reportOf } from "../../support/enrolments.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";

const { database, servers } = await startTwoServers();
const tokens = await Promise.all([tokenOf(database.db, "operator"), tokenOf(database.db, "operator")]);

const placeOf = (index: number) => servers[index % 2] as ServerProcess;
const enrolmentsOn = (index: number) =>
  adminClient(EnrolmentService, placeOf(index).adminUrl, tokens[index % 2]?.secret as string);
const actorOn = (index: number) => `token:${tokens[index % 2]?.name}`;

test("of two operators who approve one enrolment onto two machines at once, on two servers, one wins and the other is told", async () => {
  const winners = new Set<number>();
  for (let round = 0; round < 20 || (winners.size < 2 && round < 100); round++) {
    const { key, enrolmentId } = await knock(placeOf(round), database, { hardwareReport: reportOf(randomUUID()) });
    const machineIds = [await bareMachine(database.db), await bareMachine(database.db)] as const;
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    const results = await Promise.all(
      order.map(async (place, index) => {
        // Where one server is always the slower one, the first to call gets more and more of a head start.
        if (index > 0 && round >= 20) await delay(round - 20);
        return await errorOf(
          enrolmentsOn(place).approveEnrolment({ enrolmentId, machineId: machineIds[place] as string }),
        );
      }),
    );
    expect(results.map(({ code }) => code).toSorted()).toEqual(["FailedPrecondition", "ok"]);
    const winner = order[results.findIndex(({ code }) => code === "ok")] as number;
    winners.add(winner);
    const [won, lost] = [machineIds[winner], machineIds[1 - winner]] as [string, string];
    const told = results.find(({ code }) => code !== "ok");
    expect(told?.preconditions).toEqual([`ENROLMENT_DECIDED enrolments/${enrolmentId}`]);
    expect(told?.message).toContain(`was approved onto machine ${won} by ${actorOn(winner)} at `);
    expect(told?.message).toContain(`it cannot become machine ${lost}`);
    const [row] = await observe(database)<{ machineId: string }[]>`
      select machine_id from agent_started where public_key = ${Buffer.from(key.publicKey)}`;
    expect(row?.machineId).toBe(won);
    expect((await readTags(database, lost)).history.map(({ kind }) => kind)).toEqual(["machine_created"]);
    expect((await readTags(database, enrolmentId)).history.map(({ kind }) => kind)).toEqual(["enrolment_approved"]);
  }
  expect(winners).toEqual(new Set([0, 1]));
});

test("of two agents with one serial number that are approved at once, one becomes a machine", async () => {
  for (let round = 0; round < 10; round++) {
    const hardwareReport = reportOf(randomUUID());
    const knocks = await Promise.all([0, 1].map((place) => knock(placeOf(place), database, { hardwareReport })));
    const results = await Promise.all(
      knocks.map(({ enrolmentId }, place) => errorOf(enrolmentsOn(place).approveEnrolment({ enrolmentId }))),
    );
    expect(results.map(({ code }) => code).toSorted()).toEqual(["FailedPrecondition", "ok"]);
    expect(results.flatMap(({ preconditions }) => preconditions)).toEqual([
      expect.stringMatching(/^ENROLMENT_DUPLICATE /),
    ]);
  }
});

test("an agent that is rejected and approved at once is what the later decision says", async () => {
  const ends = new Set<string>();
  for (let round = 0; round < 16 || (!ends.has("FailedPrecondition") && round < 100); round++) {
    const { key, enrolmentId } = await knock(placeOf(round), database);
    const calls = [
      () => codeOf(enrolmentsOn(round).approveEnrolment({ enrolmentId })),
      () => codeOf(enrolmentsOn(round + 1).rejectEnrolment({ enrolmentId })),
    ];
    const inTurn = round % 4 < 2 ? calls : calls.toReversed();
    const codes = await Promise.all(inTurn.map((call) => call()));
    const [approved, rejected] = round % 4 < 2 ? codes : codes.toReversed();
    // An approval may follow a rejection, but nothing may follow an approval.
    expect(approved).toBe("ok");
    expect(await findEnrolment(database, key)).toMatchObject({ state: "approved" });
    ends.add(rejected as string);
  }
  expect([...ends]).toContain("FailedPrecondition");
});

test("an agent that asks while it is approved is told its machine or to wait, and then its machine", async () => {
  const during = new Set<string | undefined>();
  for (let round = 0; round < 10; round++) {
    const key = await generateAgentKey();
    const clients = [0, 1].map((place) => enrolmentClient(placeOf(place), key));
    await clients[0]?.enrol({});
    const enrolmentId = (await findEnrolment(database, key))?.id as string;
    const [{ machine }, ...answers] = await Promise.all([
      enrolmentsOn(round).approveEnrolment({ enrolmentId }),
      ...clients.flatMap((client) => [client.enrol({}), client.enrol({})]),
    ]);
    for (const { outcome } of answers) {
      during.add(outcome.case);
      if (outcome.case === "accepted") expect(outcome.value.machineId).toBe(machine?.id);
    }
    for (const client of clients) {
      expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId: machine?.id } });
    }
    expect(await findEnrolment(database, key)).toMatchObject({ id: enrolmentId, machineId: machine?.id });
  }
  expect([...during].filter((outcome) => outcome !== "pending" && outcome !== "accepted")).toEqual([]);
});

test("an agent that asks on both servers at once has one row, and its machine's deletion ends the wait for both", async () => {
  for (let round = 0; round < 10; round++) {
    const key = await generateAgentKey();
    const clients = [0, 1].map((place) => enrolmentClient(placeOf(place), key));
    const codes = await Promise.all(clients.flatMap((client) => [codeOf(client.enrol({})), codeOf(client.enrol({}))]));
    expect(codes).toEqual(["ok", "ok", "ok", "ok"]);
    const [row] = await observe(database)<{ count: number }[]>`
      select count(*)::int as count from machine_enrolment where public_key = ${Buffer.from(key.publicKey)}`;
    expect(row?.count).toBe(1);
  }
  const admin = await tokenOf(database.db, "admin");
  const { client, enrolmentId } = await knock(placeOf(0), database);
  const { machine } = await enrolmentsOn(0).approveEnrolment({ enrolmentId });
  const machines = adminClient(MachineService, placeOf(1).adminUrl, admin.secret);
  const [, code] = await Promise.all([
    machines.deleteMachine({ machineId: machine?.id as string }),
    codeOf(client.enrol({})),
  ]);
  expect(code).toBe("ok");
  expect((await client.enrol({})).outcome.case).toBe("pending");
});
