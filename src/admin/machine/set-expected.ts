/** The handlers of MachineService.SetExpected and BatchSetExpected. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  BatchSetExpectedResponseSchema,
  type SetExpectedRequest,
  SetExpectedRequestSchema,
  type SetExpectedResponse,
  SetExpectedResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { type ExpectedChange, setExpected } from "../../db/queries/expected.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readExpected } from "./read-expected.ts";
import { readMachines } from "./read-machine.ts";

const expectation: MachineOperation<SetExpectedRequest, ExpectedChange, readonly string[], Machine> = {
  requestSchema: SetExpectedRequestSchema,
  read: ({ machineId, expected }) => ({
    machineId: parseMachineId(machineId),
    expected: expected === undefined ? null : readExpected("expected", expected),
  }),
  apply: async (...change) => [...(await setExpected(...change)).keys()],
  readAnswers: readMachines,
};

/** Creates the handler of MachineService.SetExpected. */
export function createSetExpected(context: AdminContext) {
  return async (request: SetExpectedRequest, call: HandlerContext): Promise<SetExpectedResponse> => {
    const change = expectation.read(request);
    return await answerOnce(context, call, request, SetExpectedResponseSchema, async (tx, actor) =>
      create(SetExpectedResponseSchema, { machine: await applyOne(expectation, tx, change, actor) }),
    );
  };
}

/** Creates the handler of MachineService.BatchSetExpected. */
export function createBatchSetExpected(context: AdminContext) {
  return createBatchHandler(context, expectation, {
    schema: BatchSetExpectedResponseSchema,
    create: (machines, failedRequests) => create(BatchSetExpectedResponseSchema, { machines, failedRequests }),
  });
}
