/** The handler of EnrolmentService.ApproveEnrolment. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ApproveEnrolmentRequest,
  type ApproveEnrolmentResponse,
  ApproveEnrolmentResponseSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { applyOwnJoinToken, approveEnrolment } from "../../db/queries/enrolment-decision.ts";
import { setLabels } from "../../db/queries/machine-label.ts";
import { setProvided } from "../../db/queries/provided.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readLabels } from "../machine/read-labels.ts";
import { readMachine } from "../machine/read-machine.ts";
import { toProvidedChange } from "../machine/to-provided-change.ts";
import { readEnrolment } from "./to-enrolment.ts";

/** Creates the handler of EnrolmentService.ApproveEnrolment. */
export function createApproveEnrolment(context: Pick<AdminContext, "db">) {
  return async (request: ApproveEnrolmentRequest, call: HandlerContext): Promise<ApproveEnrolmentResponse> => {
    const { replaceKey, allowDuplicate, duringInstallation, provided } = request;
    const isNew = request.machineId === "";
    const approval = {
      enrolmentId: parseMachineId(request.enrolmentId),
      machineId: isNew ? randomUUID() : parseMachineId(request.machineId),
      isNew,
      replacesKey: replaceKey,
      allowsDuplicate: allowDuplicate,
      allowsInstallation: duringInstallation,
    };
    const { enrolmentId, machineId } = approval;
    const labels = readLabels("labels", request.labels);
    return await answerOnce(context, call, request, ApproveEnrolmentResponseSchema, async (tx, actor) => {
      if (await approveEnrolment(tx, approval, actor)) {
        if (provided) await setProvided(tx, [toProvidedChange(machineId, provided)], actor);
        await setLabels(tx, [{ machineId, labels }], actor);
        await applyOwnJoinToken(tx, enrolmentId, actor);
      }
      return create(ApproveEnrolmentResponseSchema, {
        enrolment: await readEnrolment(tx, enrolmentId),
        machine: await readMachine(tx, machineId),
      });
    });
  };
}
