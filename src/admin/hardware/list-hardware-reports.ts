/** The handler of HardwareService.ListHardwareReports. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  HardwareReportSchema,
  type ListHardwareReportsRequest,
  type ListHardwareReportsResponse,
  ListHardwareReportsResponseSchema,
} from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { shortenFloats } from "../../base/short-floats.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { listHardwareReports } from "../../db/queries/hardware-report.ts";
import { checkMachineExists } from "../../db/queries/machine.ts";
import type { AdminContext } from "../admin-context.ts";
import { findHardwareDifferences } from "./hardware-difference.ts";

/** How many reports of a machine are kept: the current one and nine past ones. */
const keptReports = 10;

/** Creates the handler of HardwareService.ListHardwareReports. */
export function createListHardwareReports({ db }: AdminContext) {
  return async (request: ListHardwareReportsRequest): Promise<ListHardwareReportsResponse> => {
    const machineId = parseMachineId(request.machineId);
    const pageSize = request.pageSize || keptReports;
    // One more report than the page has shows how its last one differs.
    const rows = await listHardwareReports(db, machineId, pageSize + 1);
    if (rows.length === 0) await checkMachineExists(db, machineId);
    const decoded = rows.map((row) => ({ reportedAt: row.reportedAt, report: decode(row.report) }));
    const reports = decoded.slice(0, pageSize).map(({ reportedAt, report }, index) => {
      const before = decoded[index + 1]?.report;
      return create(HardwareReportSchema, {
        reportTime: timestampFromDate(reportedAt),
        ...(report && { report }),
        differences: report && before ? findHardwareDifferences(before, report) : [],
      });
    });
    return create(ListHardwareReportsResponseSchema, { reports });
  };
}

function decode(bytes: Uint8Array): AgentHardwareReport | undefined {
  try {
    const report = fromBinary(AgentHardwareReportSchema, bytes);
    shortenFloats(AgentHardwareReportSchema, report);
    return report;
  } catch {
    return undefined;
  }
}
