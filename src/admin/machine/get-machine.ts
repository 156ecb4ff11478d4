/** MachineService.GetMachine */
import { create } from "@bufbuild/protobuf";
import {
  type GetMachineRequest,
  type GetMachineResponse,
  GetMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { MachineNotFoundError } from "../../db/errors.ts";
import { findMachineOverview } from "../../db/queries/machine-overview.ts";
import type { AdminContext } from "../admin-context.ts";
import { toMachine } from "./to-machine.ts";

/** Makes the handler. */
export function createGetMachine({ db }: AdminContext) {
  return async ({ machineId }: GetMachineRequest): Promise<GetMachineResponse> => {
    const overview = await findMachineOverview(db, machineId);
    if (overview === undefined) throw new MachineNotFoundError(machineId);
    return create(GetMachineResponseSchema, { machine: toMachine(overview) });
  };
}
