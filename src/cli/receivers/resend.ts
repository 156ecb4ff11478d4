/** `bmaas receivers resend` */
import { Command } from "commander";
import { ReceiverService, ResendDeliveriesResponseSchema } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { addOnce } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";

/** Creates the command `bmaas receivers resend`. */
export function resendCommand(): Command {
  const command = new Command("resend")
    .description("send events to a receiver again, under their ids: those that were given up, or the named ones")
    .argument("<name>", "the receiver")
    .argument(
      "[delivery-ids...]",
      "deliveries, from bmaas receivers deliveries (default: all that were given up)",
      addOnce,
    )
    .action(
      operate(async (operator, { json }: OperatorFlags, name: string, deliveryIds: readonly string[]) => {
        const response = await operator
          .client(ReceiverService)
          .resendDeliveries({ name, deliveryIds: [...deliveryIds] });
        if (json) return printMessage(ResendDeliveriesResponseSchema, response);
        print(response.deliveries === 1 ? "1 event is sent again" : `${response.deliveries} events are sent again`);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas receivers resend oncall", "bmaas receivers resend oncall msg_3f9c2a71d04be8563f9c2a71d04be856"],
    more: [
      "\nOne call resends at most 1000 events that were given up, the oldest first." +
        "\n\nWith --json: one ResendDeliveriesResponse of bmaas.admin.v1.",
    ],
  });
}
