/** `bmaas enrolments reject` */
import { Command } from "commander";
import { EnrolmentService, RejectEnrolmentResponseSchema } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { confirm, type TargetFlags } from "../operator/targets.ts";
import { addEnrolments, enrolmentKind, enrolmentSelectorHelp, findEnrolmentTargets } from "./enrolment-targets.ts";

/** Creates the command `bmaas enrolments reject`. */
export function rejectCommand(): Command {
  const command = addEnrolments(new Command("reject"))
    .description("turn agents away: the server tells them that it does not accept them")
    .action(
      operate(async (operator, flags: OperatorFlags & TargetFlags, ids: readonly string[]) => {
        const targets = await findEnrolmentTargets(operator, ids, flags);
        await confirm(targets, flags, "Turn the agents of # away?", { noun: enrolmentKind.noun });
        const client = operator.client(EnrolmentService);
        await actAndReport(operator, targets, flags, {
          act: ({ machineId: enrolmentId }) => client.rejectEnrolment({ enrolmentId }),
          describe: (_response, { machineId: enrolmentId }) => `${enrolmentId}  rejected`,
          toJson: (response) => messageToJson(RejectEnrolmentResponseSchema, response),
          kind: enrolmentKind,
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas enrolments reject 0b0c8d2e-3f4a-4c1d-9e57-6a1f0c2d3e4f",
      "bmaas enrolments reject --selector state=waiting,address=192.0.2.7",
    ],
    more: [enrolmentSelectorHelp, severalHelp("RejectEnrolmentResponse", enrolmentKind)],
  });
}
