/** What a batch of one kind promises beside what every batch does. */
import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { errorOf } from "../../support/call-error.ts";
import { findInstallation, moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, requestInstallation, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const operator = await tokenOf(db, "operator");
const machines = adminClient(MachineService, server.adminUrl, operator.secret);
const installations = adminClient(InstallationService, server.adminUrl, operator.secret);

const target = { type: { case: "image", value: testImage } } as const;
const { PARTIAL_SUCCESS } = BatchMode;
const newMachines = (count: number) => Promise.all(Array.from({ length: count }, () => bareMachine(db)));
const providerIdsOf = async (machineIds: readonly string[]) => {
  const { machines: found } = await machines.listMachines({ filter: { machineIds: [...machineIds] } });
  const ids = new Map(found.map(({ id, provided }) => [id, provided?.providerId]));
  return machineIds.map((id) => ids.get(id));
};

test("installations of a batch count as automatic, and those that are only checked are not stored", async () => {
  const machineIds = await newMachines(2);
  const requests = machineIds.map((machineId) => ({ machineId, target, uncheckedDisk: true }));
  const checked = await installations.batchRequestInstallations({ requests, validateOnly: true });
  expect(checked.installations.map(({ generation }) => generation)).toEqual([1n, 1n]);
  for (const machineId of machineIds) expect(await findInstallation(database, machineId, 1n)).toBeUndefined();
  await installations.batchRequestInstallations({ requests });
  for (const machineId of machineIds) {
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ reinstallLimit: 3 });
  }
});

test("holds of a batch tell which they replace, each end by itself, and their end tells which machines were held", async () => {
  const [one, two, three, free] = (await newMachines(4)) as [string, string, string, string];
  await machines.setHold({ machineId: two, reason: "first", ticket: "t-1" });
  const end = { case: "duration", value: { seconds: 3600n } } as const;
  const answer = await machines.batchSetHolds({
    requests: [
      { machineId: three, reason: "power", mute: true },
      { machineId: two, reason: "fan", end },
      { machineId: one, reason: "fan", end: { case: "endTime", value: { seconds: 4_000_000_000n, nanos: 1_000_000 } } },
    ],
  });
  expect(answer.machines.map(({ hold }) => [hold?.reason, hold?.ticket, hold?.muted, hold?.endTime?.seconds])).toEqual([
    ["power", "", true, undefined],
    ["fan", "", false, (answer.machines[1]?.hold?.holdTime?.seconds ?? 0n) + 3600n],
    ["fan", "", false, 4_000_000_000n],
  ]);
  expect(Object.entries(answer.replaced)).toEqual([[two, expect.objectContaining({ reason: "first", ticket: "t-1" })]]);
  const again = await machines.batchSetHolds({ requests: [{ machineId: two, reason: "x" }], omitMachines: true });
  expect(again).toMatchObject({ machines: [], replaced: {}, failedRequests: {} });
  const all = [free, one, two, three];
  const ended = await machines.batchClearHolds({ requests: all.map((machineId) => ({ machineId })) });
  expect(ended.machines.map(({ id, hold }) => [id, hold])).toEqual(all.map((id) => [id, undefined]));
  expect(new Map(Object.entries(ended.cleared).map(([id, { reason }]) => [id, reason]))).toEqual(
    new Map([
      [one, "fan"],
      [two, "x"],
      [three, "power"],
    ]),
  );
});

test("retries of a batch that are only checked are not stored, and each keeps to its own generation and disk", async () => {
  const [one, two, three, four] = (await newMachines(4)) as [string, string, string, string];
  for (const machineId of [one, two, three, four]) {
    await moveInstallation(db, machineId, await requestInstallation(db, machineId), "failed");
  }
  const requests = [
    { machineId: one },
    { machineId: two, expectedGeneration: 7n },
    { machineId: three, expectedDisk: "x" },
  ];
  const batch = { requests: [...requests, { machineId: four, expectedGeneration: 1n }], mode: PARTIAL_SUCCESS };
  const checked = await installations.batchRetryInstallations({ ...batch, validateOnly: true });
  expect(await findInstallation(database, one, 2n)).toBeUndefined();
  const answer = await installations.batchRetryInstallations(batch);
  for (const { installations: retried, failedRequests } of [checked, answer]) {
    expect(retried.map(({ machineId, generation }) => [machineId, generation])).toEqual([
      [one, 2n],
      [four, 2n],
    ]);
    expect(Object.entries(failedRequests).map(([index, { code, message }]) => [index, code, message])).toEqual([
      ["1", Code.FailedPrecondition, expect.stringContaining("is not its newest, which is 1")],
      ["2", Code.FailedPrecondition, expect.stringContaining("without regard to a hardware report")],
    ]);
  }
  expect(await readInstallation(database, four, 2n)).toMatchObject({ reinstallLimit: 3 });
  expect(await findInstallation(database, three, 2n)).toBeUndefined();
});

test("a batch of retries names the generation that is not the newest as the field that is wrong", async () => {
  const [machineId] = (await newMachines(1)) as [string];
  await moveInstallation(db, machineId, await requestInstallation(db, machineId), "failed");
  const requests = [{ machineId, expectedGeneration: 7n }];
  const error = await errorOf(installations.batchRetryInstallations({ requests }));
  expect(error).toMatchObject({ code: "FailedPrecondition", fields: ["requests[0].expected_generation"] });
});

test("an atomic batch of retries that a later slice refuses has retried none", async () => {
  const { machines: made } = await machines.batchCreateMachines({ requests: Array.from({ length: 140 }, () => ({})) });
  const machineIds = made.map(({ id }) => id).toSorted();
  for (const machineId of machineIds.slice(0, -1)) {
    await moveInstallation(db, machineId, await requestInstallation(db, machineId), "overdue");
  }
  const requests = machineIds.map((machineId) => ({ machineId }));
  const error = await errorOf(installations.batchRetryInstallations({ requests }));
  expect(error).toMatchObject({ code: "NotFound", fields: ["requests[139].machine_id"] });
  expect(await findInstallation(database, machineIds[0] as string, 2n)).toBeUndefined();
  const rest = await installations.batchRetryInstallations({ requests, mode: PARTIAL_SUCCESS });
  expect(rest.installations.map(({ machineId }) => machineId)).toEqual(machineIds.slice(0, -1));
});

test("machines of a batch can change places at their provider, and take an id that another loses", async () => {
  const [one, two, three] = (await newMachines(3)) as [string, string, string];
  const [a, b] = [randomUUID(), randomUUID()];
  const set = (machineId: string, providerId?: string) => ({
    machineId,
    ...(providerId && { provided: { provider: "lab", providerId } }),
  });
  await machines.batchSetProvided({ requests: [set(one, a), set(two, b)] });
  await machines.batchSetProvided({ requests: [set(one, b), set(two, a)] });
  expect(await providerIdsOf([one, two, three])).toEqual([b, a, undefined]);
  await machines.batchSetProvided({ requests: [set(one), set(three, b)] });
  expect(await providerIdsOf([one, two, three])).toEqual([undefined, a, b]);
});

test("a machine that keeps its id because its change is refused refuses who wanted that id", async () => {
  const [holder, one, two, three] = (await newMachines(4)) as [string, string, string, string];
  const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
  const set = (machineId: string, providerId: string) => ({ machineId, provided: { provider: "lab", providerId } });
  await machines.batchSetProvided({ requests: [set(holder, a), set(one, b)] });
  const requests = [set(two, b), set(one, a), set(three, c)];
  const { failedRequests } = await machines.batchSetProvided({ requests, mode: PARTIAL_SUCCESS });
  expect(Object.entries(failedRequests).map(([index, { code }]) => [index, code])).toEqual([
    ["0", Code.AlreadyExists],
    ["1", Code.AlreadyExists],
  ]);
  expect(await providerIdsOf([holder, one, two, three])).toEqual([a, b, undefined, c]);
});

test("of two new machines with one provider's id the first is created, and nothing of the other", async () => {
  const provided = { provider: "lab", providerId: randomUUID() };
  const ids = [randomUUID(), randomUUID()] as const;
  const requests = ids.map((machineId) => ({ machineId, provided }));
  const answer = await machines.batchCreateMachines({ requests, mode: PARTIAL_SUCCESS });
  expect(answer.machines.map(({ id }) => id)).toEqual([ids[0]]);
  expect(answer.failedRequests[1]).toMatchObject({ code: Code.AlreadyExists });
  expect((await machines.listMachines({ filter: { machineIds: [...ids] } })).machines).toHaveLength(1);
});

test("the answer in JSON has the details of a status, and without machines when they are not wanted", async () => {
  const machineId = await bareMachine(db);
  const answer = await fetch(`${server.adminUrl}/bmaas.admin.v1.MachineService/BatchSetLabels`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${operator.secret}` },
    body: JSON.stringify({
      mode: "BATCH_MODE_PARTIAL_SUCCESS",
      omitMachines: true,
      requests: [{ machineId, set: { rack: "r1" } }, { machineId: "no uuid" }],
    }),
  });
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    {
      failedRequests: {
        1: {
          code: Code.InvalidArgument,
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.BadRequest",
              fieldViolations: [{ field: "requests[1].machine_id" }],
            },
          ],
        },
      },
    },
  ]);
  expect((await machines.getMachine({ machineId })).machine?.labels).toEqual({ rack: "r1" });
});
