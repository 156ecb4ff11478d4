/** The handlers of MachineService.ClearHold and BatchClearHolds. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  BatchClearHoldsResponseSchema,
  type ClearHoldRequest,
  ClearHoldRequestSchema,
  type ClearHoldResponse,
  ClearHoldResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { clearHolds, type HoldRow } from "../../db/queries/machine-hold.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineChange, type MachineOperation } from "../batch/machine-operation.ts";
import { readMachines } from "./read-machine.ts";
import { toHold } from "./to-machine.ts";

const releasing: MachineOperation<
  ClearHoldRequest,
  MachineChange,
  ReadonlyMap<string, HoldRow | undefined>,
  ClearHoldResponse
> = {
  requestSchema: ClearHoldRequestSchema,
  read: ({ machineId }) => ({ machineId: parseMachineId(machineId) }),
  apply: clearHolds,
  async readAnswers(tx, ended) {
    const machines = await readMachines(tx, [...ended.keys()]);
    return new Map(
      Array.from(machines, ([machineId, machine]) => {
        const cleared = ended.get(machineId);
        return [machineId, create(ClearHoldResponseSchema, { machine, ...(cleared && { cleared: toHold(cleared) }) })];
      }),
    );
  },
};

/** Creates the handler of MachineService.ClearHold. */
export function createClearHold(context: AdminContext) {
  return async (request: ClearHoldRequest, call: HandlerContext): Promise<ClearHoldResponse> => {
    const change = releasing.read(request);
    return await answerOnce(context, call, request, ClearHoldResponseSchema, (tx, actor) =>
      applyOne(releasing, tx, change, actor),
    );
  };
}

/** Creates the handler of MachineService.BatchClearHolds. */
export function createBatchClearHolds(context: AdminContext) {
  return createBatchHandler(context, releasing, {
    schema: BatchClearHoldsResponseSchema,
    create(answers, failedRequests) {
      const machines = answers.flatMap(({ machine }) => machine ?? []);
      const cleared = answers.flatMap(({ machine, cleared: hold }) => (machine && hold ? [[machine.id, hold]] : []));
      return create(BatchClearHoldsResponseSchema, { machines, failedRequests, cleared: Object.fromEntries(cleared) });
    },
  });
}
