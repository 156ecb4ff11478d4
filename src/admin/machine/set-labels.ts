/** MachineService.SetLabels */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SetLabelsRequest,
  type SetLabelsResponse,
  SetLabelsResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { setLabels } from "../../db/queries/machine-label.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readLabels } from "./read-labels.ts";
import { readMachine } from "./read-machine.ts";

/** Creates the handler. */
export function createSetLabels(context: AdminContext) {
  return async (request: SetLabelsRequest, call: HandlerContext): Promise<SetLabelsResponse> => {
    const machineId = parseMachineId(request.machineId);
    const labels = readLabels("set", request.set, request.remove);
    return await answerOnce(context, call, request, SetLabelsResponseSchema, async (tx, actor) => {
      await setLabels(tx, [{ machineId, labels }], actor);
      return create(SetLabelsResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
