/** The handler of EnrolmentService.RejectEnrolment. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RejectEnrolmentRequest,
  type RejectEnrolmentResponse,
  RejectEnrolmentResponseSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { rejectEnrolment } from "../../db/queries/enrolment-decision.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readEnrolment } from "./to-enrolment.ts";

/** Creates the handler of EnrolmentService.RejectEnrolment. */
export function createRejectEnrolment(context: Pick<AdminContext, "db">) {
  return async (request: RejectEnrolmentRequest, call: HandlerContext): Promise<RejectEnrolmentResponse> => {
    const enrolmentId = parseMachineId(request.enrolmentId);
    return await answerOnce(context, call, request, RejectEnrolmentResponseSchema, async (tx, actor) => {
      await rejectEnrolment(tx, enrolmentId, actor);
      return create(RejectEnrolmentResponseSchema, { enrolment: await readEnrolment(tx, enrolmentId) });
    });
  };
}
