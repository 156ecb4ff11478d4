/** The handler of MachineService.SetProvided. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SetProvidedRequest,
  type SetProvidedResponse,
  SetProvidedResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { removeProvided, setProvided } from "../../db/queries/provided.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "./read-machine.ts";
import { toProvidedChange } from "./to-provided-change.ts";

/** Creates the handler of MachineService.SetProvided. */
export function createSetProvided(context: AdminContext) {
  return async (request: SetProvidedRequest, call: HandlerContext): Promise<SetProvidedResponse> => {
    const machineId = parseMachineId(request.machineId);
    return await answerOnce(context, call, request, SetProvidedResponseSchema, async (tx, actor) => {
      if (request.provided) await setProvided(tx, [toProvidedChange(machineId, request.provided)], actor);
      else await removeProvided(tx, machineId, actor);
      return create(SetProvidedResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
