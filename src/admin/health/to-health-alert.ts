/** Converts health alerts from the database to messages for operators. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type HealthAlert, HealthAlertSchema, HealthEffect } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import type { HealthAlertRow } from "../../db/queries/machine-health.ts";
import { severities } from "../machine/to-machine.ts";

/** Converts one alert. */
export function toHealthAlert(row: HealthAlertRow): HealthAlert {
  return create(HealthAlertSchema, {
    id: row.alertId,
    target: row.target,
    severity: severities[row.severity],
    message: row.message,
    effects: [...(row.blocksInstall ? [HealthEffect.BLOCK_INSTALL] : []), ...(row.mutes ? [HealthEffect.MUTE] : [])],
    source: row.source,
    sinceTime: timestampFromDate(row.since),
    endTime: timestampFromDate(row.until),
  });
}
