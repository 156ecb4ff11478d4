/** What a batch of one kind promises beside what every batch does. */
import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { findInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, testImage } from "../../support/machine.ts";
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
