/** The handler of MachineService.ClearHold. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ClearHoldRequest,
  type ClearHoldResponse,
  ClearHoldResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { clearHold } from "../../db/queries/machine-hold.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "./read-machine.ts";

/** Creates the handler of MachineService.ClearHold. */
export function createClearHold(context: AdminContext) {
  return async (request: ClearHoldRequest, call: HandlerContext): Promise<ClearHoldResponse> => {
    const machineId = parseMachineId(request.machineId);
    return await answerOnce(context, call, request, ClearHoldResponseSchema, async (tx, actor) => {
      await clearHold(tx, machineId, actor);
      return create(ClearHoldResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
