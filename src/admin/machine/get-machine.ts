/** The handler of MachineService.GetMachine. */
import { create } from "@bufbuild/protobuf";
import {
  type GetMachineRequest,
  type GetMachineResponse,
  GetMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { AdminContext } from "../admin-context.ts";
import { readMachine } from "./read-machine.ts";

/** Creates the handler of MachineService.GetMachine. */
export function createGetMachine({ db }: AdminContext) {
  return async ({ machineId }: GetMachineRequest): Promise<GetMachineResponse> =>
    create(GetMachineResponseSchema, { machine: await readMachine(db, parseMachineId(machineId)) });
}
