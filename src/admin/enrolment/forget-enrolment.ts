/** The handler of EnrolmentService.ForgetEnrolment. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ForgetEnrolmentRequest,
  type ForgetEnrolmentResponse,
  ForgetEnrolmentResponseSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { forgetEnrolment } from "../../db/queries/enrolment-decision.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";

/** Creates the handler of EnrolmentService.ForgetEnrolment. */
export function createForgetEnrolment(context: Pick<AdminContext, "db">) {
  return async (request: ForgetEnrolmentRequest, call: HandlerContext): Promise<ForgetEnrolmentResponse> => {
    const enrolmentId = parseMachineId(request.enrolmentId);
    return await answerOnce(context, call, request, ForgetEnrolmentResponseSchema, async (tx, actor) => {
      await forgetEnrolment(tx, enrolmentId, actor);
      return create(ForgetEnrolmentResponseSchema);
    });
  };
}
