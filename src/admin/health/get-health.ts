/** The handler of HealthService.GetHealth. */
import { create } from "@bufbuild/protobuf";
import {
  type GetHealthRequest,
  type GetHealthResponse,
  GetHealthResponseSchema,
} from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { checkMachineExists } from "../../db/queries/machine.ts";
import { findAlerts } from "../../db/queries/machine-health.ts";
import { readSnapshot } from "../../db/transaction.ts";
import type { AdminContext } from "../admin-context.ts";
import { toHealthAlert } from "./to-health-alert.ts";

/** Creates the handler of HealthService.GetHealth. */
export function createGetHealth({ db }: Pick<AdminContext, "db">) {
  return async (request: GetHealthRequest): Promise<GetHealthResponse> => {
    const machineId = parseMachineId(request.machineId);
    return await readSnapshot(db, async (tx) => {
      await checkMachineExists(tx, machineId);
      const alerts = await findAlerts(tx, machineId);
      return create(GetHealthResponseSchema, { alerts: alerts.map(toHealthAlert) });
    });
  };
}
