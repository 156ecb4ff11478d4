/** The handler of MachineService.DeleteMachine. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type DeleteMachineRequest,
  type DeleteMachineResponse,
  DeleteMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { deleteMachine } from "../../db/queries/machine-deletion.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";

/** Creates the handler of MachineService.DeleteMachine. */
export function createDeleteMachine(context: AdminContext) {
  return async (request: DeleteMachineRequest, call: HandlerContext): Promise<DeleteMachineResponse> => {
    const machineId = parseMachineId(request.machineId);
    return await answerOnce(context, call, request, DeleteMachineResponseSchema, async (tx, actor) => {
      await deleteMachine(tx, { machineId, force: request.force }, actor);
      return create(DeleteMachineResponseSchema);
    });
  };
}
