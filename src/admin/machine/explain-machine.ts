/** The handler of MachineService.ExplainMachine. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ExplainMachineRequest,
  type ExplainMachineResponse,
  ExplainMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { findStoredRequest } from "../../contract/stored-request.ts";
import { MachineNotFoundError } from "../../db/errors.ts";
import { findMachineOverview } from "../../db/queries/machine-overview.ts";
import { findMachineTrouble } from "../../db/queries/machine-trouble.ts";
import { readSnapshot } from "../../db/transaction.ts";
import type { AdminContext } from "../admin-context.ts";
import { explain } from "./explanation.ts";
import { type Remedy, remedies } from "./remedies.ts";
import { toMachine } from "./to-machine.ts";

/** Creates the handler of MachineService.ExplainMachine. */
export function createExplainMachine({ db }: AdminContext) {
  return async (request: ExplainMachineRequest): Promise<ExplainMachineResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { overview, trouble } = await readSnapshot(db, async (tx) => ({
      overview: await findMachineOverview(tx, machineId),
      trouble: await findMachineTrouble(tx, machineId),
    }));
    if (overview === undefined) throw new MachineNotFoundError(machineId);
    const machine = toMachine(overview);
    const { installation } = overview;
    const stored = installation === null ? undefined : findStoredRequest(installation.request);
    const facts = { isRequestReadable: stored !== undefined, expectedDisk: stored?.expectedDisk };
    const { condition, next, nextTime, ...explanation } = explain({ ...overview, ...trouble, ...facts });
    return create(ExplainMachineResponseSchema, {
      machine,
      condition,
      next,
      ...(nextTime && { nextTime: timestampFromDate(nextTime) }),
      remedies: explanation.remedies.map((name) => {
        const { description, command }: Remedy = remedies[name];
        return { description, command: command?.(machineId, trouble.knockers[0]?.id) ?? "" };
      }),
    });
  };
}
