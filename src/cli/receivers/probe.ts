/** `bmaas receivers probe` */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { ProbeReceiverResponseSchema, ReceiverService } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { printable } from "../../base/printable.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";

/** Creates the command `bmaas receivers probe`. */
export function probeCommand(): Command {
  const command = new Command("probe")
    .description("send a test event to a receiver at once and show how it answers")
    .argument("<name>", "the receiver")
    .action(
      operate(async (operator, { json }: OperatorFlags, name: string) => {
        const response = await operator.client(ReceiverService).probeReceiver({ name });
        const { status = 0, error = "", answer = "", duration } = response.attempt ?? {};
        const told = [`${duration === undefined ? 0 : durationMs(duration)} ms`, answer].filter(Boolean).join(": ");
        if (json) printMessage(ProbeReceiverResponseSchema, response);
        else if (error === "") print(printable(`${name} answered ${status} after ${told}`));
        if (error !== "")
          throw new CommandFailure(printable(`${name} failed: ${error} after ${told}`), exitStatus.failed);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas receivers probe oncall"],
    more: [
      "\nThe event has the type receiver.probe. Exit status 1 when the receiver does not accept it.",
      "\nWith --json: one ProbeReceiverResponse of bmaas.admin.v1.",
    ],
  });
}
