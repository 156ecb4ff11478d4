/** What a request id promises, apart from any method. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectError, createContextValues } from "@connectrpc/connect";
import { afterAll, expect, test } from "vitest";
import {
  CreateMachineRequestSchema,
  CreateMachineResponseSchema,
  MachineService,
} from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { BadRequestSchema } from "../../gen/google/rpc/error_details_pb.js";
import { answerOnce } from "../../src/admin/answer-once.ts";
import { callerKey } from "../../src/admin/authorization/caller.ts";
import { createTestDatabase } from "../support/database.ts";

const database = await createTestDatabase();
afterAll(() => database.close());

const requestId = "6f0c3a51-51e2-4a5c-9f5e-0c8d6f1a2b3c";
let runs = 0;

type Fields = MessageInitShape<typeof CreateMachineRequestSchema>;

function call(fields: Fields, actor = "token:a", fail = false) {
  const values = createContextValues().set(callerKey, { actor, role: "operator" });
  const context = { values, service: MachineService, method: MachineService.method.createMachine };
  const request = create(CreateMachineRequestSchema, fields);
  return answerOnce(database, context, request, CreateMachineResponseSchema, async () => {
    runs += 1;
    if (fail) throw new Error("no");
    return create(CreateMachineResponseSchema, { machine: { id: `run ${runs}` } });
  });
}

test("runs once for calls at the same time and afterwards, and answers them the same", async () => {
  runs = 0;
  const answers = await Promise.all([call({ requestId }), call({ requestId }), call({ requestId })]);
  answers.push(await call({ requestId: requestId.toUpperCase() }));
  expect(answers.map((answer) => answer.machine?.id)).toEqual(["run 1", "run 1", "run 1", "run 1"]);
  expect(runs).toBe(1);
});

test("leaves the id free when the work fails", async () => {
  const id = "00000000-0000-4000-8000-000000000001";
  await expect(call({ requestId: id }, "token:a", true)).rejects.toThrow("no");
  expect((await call({ requestId: id })).machine?.id).toMatch(/^run/);
});

test("refuses the id for another request, and names the field", async () => {
  const error: ConnectError = await call({ requestId, machineId: "other" }).catch((reason) => reason);
  expect(error.message).toContain("request_id");
  expect(error.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [{ field: "request_id" }] }]);
});

test("takes a call whose maps come in another order for the same one, and one with other values for another", async () => {
  const id = "00000000-0000-4000-8000-000000000002";
  const first = await call({ requestId: id, labels: { rack: "r1", team: "a" } });
  expect(await call({ requestId: id, labels: { team: "a", rack: "r1" } })).toEqual(first);
  await expect(call({ requestId: id, labels: { rack: "a", team: "r1" } })).rejects.toThrow("request_id");
});

test("keeps the ids of callers apart, and repeats calls without one", async () => {
  runs = 0;
  await call({ requestId }, "token:b");
  await call({});
  await call({});
  expect(runs).toBe(3);
});
