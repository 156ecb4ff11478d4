/** Operators change what is expected of machines, and agents come meanwhile. */
import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { setExpected } from "../../../src/db/queries/expected.ts";
import { transact } from "../../../src/db/transact.ts";
import { errorOf } from "../../support/call-error.ts";
import { createTestDatabase } from "../../support/database.ts";
import { enrolmentClient, knock, reportOf } from "../../support/enrolments.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { startTestServer } from "../../support/server.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const server = await startTestServer(database.url, { BMAAS_ENROL_EXPECTED: "accept" });
afterAll(() => server.close());
const operator = await tokenOf(database.db, "operator");
const actor = `token:${operator.name}`;
const machines = adminClient(MachineService, server.adminUrl, operator.secret);
const enrolments = adminClient(EnrolmentService, server.adminUrl, operator.secret);

const newSerial = () => `SN-${randomUUID()}`;
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);

/** Asks as an agent of a machine with this serial number; returns the machine that it is let in as. */
async function ask(serialNumber: string): Promise<string | undefined> {
  const client = enrolmentClient(server, await generateAgentKey());
  const { outcome } = await client.enrol({ hardwareReport: reportOf(serialNumber) });
  return outcome.case === "accepted" ? outcome.value.machineId : undefined;
}

test("what is expected is replaced as a whole, and taken away, and the history says by whom", async () => {
  const machineId = await bareMachine(database.db);
  const [first, uuid] = [newSerial(), randomUUID()];
  const mac = "02:42:ac:11:00:07";
  const { machine } = await machines.setExpected({
    machineId: machineId.toUpperCase(),
    expected: { serialNumber: first, systemUuid: uuid.toUpperCase(), macAddresses: [mac] },
  });
  expect(machine?.expected).toMatchObject({
    serialNumber: first,
    systemUuid: uuid,
    macAddresses: [mac],
    missing: true,
  });
  const second = newSerial();
  const changed = await machines.setExpected({ machineId, expected: { serialNumber: second } });
  expect(changed.machine?.expected).toMatchObject({ serialNumber: second, systemUuid: "", macAddresses: [] });
  expect((await machines.setExpected({ machineId })).machine?.expected).toBeUndefined();
  // Nothing changes, so nothing is recorded.
  await machines.setExpected({ machineId });
  const none = { serialNumber: null, systemUuid: null, macAddresses: null };
  expect(await history(machineId)).toMatchObject([
    { kind: "machine_expected", actor, detail: { serialNumber: first, systemUuid: uuid, macAddresses: mac } },
    { kind: "machine_expected", actor, detail: { ...none, serialNumber: second } },
    { kind: "machine_expected", actor, detail: none },
  ]);
});

test("a call that is repeated with its id has the first answer, and changes nothing", async () => {
  const machineId = await bareMachine(database.db);
  const call = { machineId, expected: { serialNumber: newSerial() }, requestId: randomUUID() };
  const answer = await machines.setExpected(call);
  await machines.setExpected({ machineId });
  expect(await machines.setExpected(call)).toEqual(answer);
  expect((await machines.getMachine({ machineId })).machine?.expected).toBeUndefined();
});

test("facts that identify nobody, and no facts, are refused by their fields", async () => {
  const machineId = await bareMachine(database.db);
  const cases: [object, string][] = [
    [{ serialNumber: "To Be Filled By O.E.M." }, "expected.serial_number"],
    [{ systemUuid: "ffffffff-ffff-ffff-ffff-ffffffffffff" }, "expected.system_uuid"],
    [{ macAddresses: ["00:00:00:00:00:00"] }, "expected.mac_addresses[0]"],
    [{}, "expected"],
  ];
  for (const [expected, field] of cases) {
    expect(await errorOf(machines.setExpected({ machineId, expected }))).toMatchObject({
      code: "InvalidArgument",
      fields: [field],
    });
  }
  expect(await history(machineId)).toEqual([]);
});

test("an agent is let in as the machine that is expected from then on, and no more as the one that was", async () => {
  const [one, two] = [await bareMachine(database.db), await bareMachine(database.db)];
  const serialNumber = newSerial();
  await machines.setExpected({ machineId: one, expected: { serialNumber } });
  await machines.batchSetExpected({
    requests: [{ machineId: one }, { machineId: two, expected: { serialNumber } }],
  });
  expect(await ask(serialNumber)).toBe(two);
  // What is expected of a machine does not take its agent away.
  const { machine } = await machines.setExpected({ machineId: two });
  expect(machine?.agent).toBeDefined();
});

test("an agent that asks while its machine's expectation is taken away waits", async () => {
  const [machineId, serialNumber] = [await bareMachine(database.db), newSerial()];
  await machines.setExpected({ machineId, expected: { serialNumber } });
  const asked = await transact(database.db, async (tx) => {
    await setExpected(tx, [{ machineId, expected: null }], "test");
    const asking = ask(serialNumber);
    // It has seen the expectation, and waits for the machine.
    await withClient(database.url, (client) => waitForBlockedSessions(client, 1));
    return { asking };
  });
  expect(await asked.asking).toBeUndefined();
  expect((await machines.getMachine({ machineId })).machine?.agent).toBeUndefined();
});

test("an agent that is let in while its machine's expectation is changed is in, or waits", async () => {
  for (let round = 0; round < 4; round++) {
    const [machineId, serialNumber] = [await bareMachine(database.db), newSerial()];
    await machines.setExpected({ machineId, expected: { serialNumber } });
    const calls = [
      () => ask(serialNumber),
      () => machines.setExpected({ machineId, expected: { serialNumber: newSerial() } }),
    ];
    const inTurn = round % 2 === 0 ? calls : calls.toReversed();
    const answers = await Promise.all(inTurn.map((call) => call()));
    const asked = answers[round % 2 === 0 ? 0 : 1];
    const kinds = (await history(machineId)).map(({ kind }) => kind);
    const [enrolled, changed] = [kinds.indexOf("machine_enrolled"), kinds.lastIndexOf("machine_expected")];
    if (asked === machineId) expect(enrolled).toBeLessThan(changed);
    else expect([asked, enrolled]).toEqual([undefined, -1]);
  }
});

test("an enrolment that waits says which machine it is expected as now", async () => {
  const [machineId, serialNumber] = [await bareMachine(database.db), newSerial()];
  const { enrolmentId, client } = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
  await machines.setExpected({ machineId, expected: { serialNumber } });
  expect((await enrolments.getEnrolment({ enrolmentId })).enrolment?.expectedMachineId).toBe(machineId);
  const { outcome } = await client.enrol({ hardwareReport: reportOf(serialNumber) });
  expect(outcome).toMatchObject({ case: "accepted", value: { machineId } });
});
