/** `bmaas enrolments show` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { EnrolmentService, GetEnrolmentResponseSchema } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { HardwareReportSchema } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { printHardware } from "../operator/hardware-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { formatFields, print, printMessage } from "../operator/output.ts";
import { enrolmentIdArgument } from "./enrolment-targets.ts";
import { listEnrolmentFields } from "./enrolment-text.ts";

/** Creates the command `bmaas enrolments show`. */
export function showCommand(): Command {
  const command = new Command("show")
    .description("show one agent that asked to be let in, with the hardware that it reported")
    .argument("<enrolment-id>", "id of the enrolment, from bmaas enrolments list", enrolmentIdArgument)
    .action(
      operate(async (operator, { json }: OperatorFlags, enrolmentId: string) => {
        const response = await operator.client(EnrolmentService).getEnrolment({ enrolmentId });
        if (json) return printMessage(GetEnrolmentResponseSchema, response);
        const { enrolment, report } = response;
        if (enrolment !== undefined) print(formatFields(listEnrolmentFields(enrolment)));
        if (report === undefined) return;
        print("");
        const { lastSeenTime: reportTime } = enrolment ?? {};
        printHardware(create(HardwareReportSchema, { report, ...(reportTime && { reportTime }) }));
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas enrolments show 0b0c8d2e-3f4a-4c1d-9e57-6a1f0c2d3e4f"],
    more: ["\nWith --json: one GetEnrolmentResponse of bmaas.admin.v1."],
  });
}
