/** `bmaas enrolments forget` */
import { Command } from "commander";
import { EnrolmentService, ForgetEnrolmentResponseSchema } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { confirm, type TargetFlags } from "../operator/targets.ts";
import { addEnrolments, enrolmentKind, enrolmentSelectorHelp, findEnrolmentTargets } from "./enrolment-targets.ts";

/** Creates the command `bmaas enrolments forget`. */
export function forgetCommand(): Command {
  const command = addEnrolments(new Command("forget"))
    .description("delete enrolments that wait or are rejected; an agent that asks again waits anew")
    .action(
      operate(async (operator, flags: OperatorFlags & TargetFlags, ids: readonly string[]) => {
        const targets = await findEnrolmentTargets(operator, ids, flags);
        await confirm(targets, flags, "Delete #?", { noun: enrolmentKind.noun });
        const client = operator.client(EnrolmentService);
        await actAndReport(operator, targets, flags, {
          act: ({ machineId: enrolmentId }) => client.forgetEnrolment({ enrolmentId }),
          describe: (_response, { machineId: enrolmentId }) => `${enrolmentId}  forgotten`,
          toJson: (response) => messageToJson(ForgetEnrolmentResponseSchema, response),
          kind: enrolmentKind,
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas enrolments forget 0b0c8d2e-3f4a-4c1d-9e57-6a1f0c2d3e4f",
      "bmaas enrolments forget --selector state=rejected,older-than=30d",
    ],
    more: [enrolmentSelectorHelp, severalHelp("ForgetEnrolmentResponse", enrolmentKind)],
  });
}
