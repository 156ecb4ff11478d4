/** The handler of EnrolmentService.GetEnrolment. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type GetEnrolmentRequest,
  type GetEnrolmentResponse,
  GetEnrolmentResponseSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { shortenFloats } from "../../base/short-floats.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { findEnrolment } from "../../db/queries/enrolment-list.ts";
import type { AdminContext } from "../admin-context.ts";
import { toEnrolments } from "./to-enrolment.ts";

/** Creates the handler of EnrolmentService.GetEnrolment. */
export function createGetEnrolment({ db }: Pick<AdminContext, "db">) {
  return async ({ enrolmentId }: GetEnrolmentRequest): Promise<GetEnrolmentResponse> => {
    const row = await findEnrolment(db, parseMachineId(enrolmentId));
    if (row === undefined) throw new ConnectError(`enrolment ${enrolmentId} not found`, Code.NotFound);
    const [enrolment] = await toEnrolments(db, [row]);
    const report = row.report && fromBinary(AgentHardwareReportSchema, row.report);
    if (report) shortenFloats(AgentHardwareReportSchema, report);
    return create(GetEnrolmentResponseSchema, { ...(enrolment && { enrolment }), ...(report && { report }) });
  };
}
