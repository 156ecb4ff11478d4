/** The handler of MachineService.CreateMachine. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CreateMachineRequest,
  type CreateMachineResponse,
  CreateMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { MachineExistsError } from "../../db/errors.ts";
import { createMachines } from "../../db/queries/machine.ts";
import { setLabels } from "../../db/queries/machine-label.ts";
import { setProvided } from "../../db/queries/provided.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readLabels } from "./read-labels.ts";
import { readMachine } from "./read-machine.ts";
import { toProvidedChange } from "./to-provided-change.ts";

/** Creates the handler of MachineService.CreateMachine. */
export function createCreateMachine(context: AdminContext) {
  return async (request: CreateMachineRequest, call: HandlerContext): Promise<CreateMachineResponse> => {
    const machineId = request.machineId === "" ? randomUUID() : parseMachineId(request.machineId);
    const labels = readLabels("labels", request.labels);
    return await answerOnce(context, call, request, CreateMachineResponseSchema, async (tx, actor) => {
      const created = await createMachines(tx, [machineId], actor);
      if (!created.has(machineId)) throw new MachineExistsError(machineId);
      if (request.provided) await setProvided(tx, [toProvidedChange(machineId, request.provided)], actor);
      await setLabels(tx, [{ machineId, labels }], actor);
      return create(CreateMachineResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
