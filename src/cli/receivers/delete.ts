/** `bmaas receivers delete` */
import { Command } from "commander";
import { DeleteReceiverResponseSchema, ReceiverService } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { printable } from "../../base/printable.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";

/** Creates the command `bmaas receivers delete`. */
export function deleteCommand(): Command {
  const command = new Command("delete")
    .description("delete a receiver with everything that still waits to be sent to it")
    .argument("<name>", "the receiver")
    .action(
      operate(async (operator, { json }: OperatorFlags, name: string) => {
        const response = await operator.client(ReceiverService).deleteReceiver({ name });
        if (json) printMessage(DeleteReceiverResponseSchema, response);
        else print(printable(`deleted receiver ${name}`));
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas receivers delete oncall"],
    more: ["\nWith --json: one DeleteReceiverResponse of bmaas.admin.v1."],
  });
}
