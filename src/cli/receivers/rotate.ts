/** `bmaas receivers rotate` */
import { Command } from "commander";
import {
  AddReceiverSecretResponseSchema,
  ReceiverService,
  RetireReceiverSecretsResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { printable } from "../../base/printable.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";

interface RotateFlags extends OperatorFlags {
  readonly retire?: boolean;
}

/** Creates the command `bmaas receivers rotate`. */
export function rotateCommand(): Command {
  const command = new Command("rotate")
    .description("give a receiver one more secret and print it; messages are signed with all of them")
    .argument("<name>", "the receiver")
    .option("--retire", "delete all secrets but the newest instead, once the receiver knows that one")
    .action(
      operate(async (operator, { retire = false, json }: RotateFlags, name: string) => {
        const client = operator.client(ReceiverService);
        if (retire) {
          const response = await client.retireReceiverSecrets({ name });
          if (json) return printMessage(RetireReceiverSecretsResponseSchema, response);
          return print(printable(`${name} has only its newest secret`));
        }
        const response = await client.addReceiverSecret({ name });
        if (json) return printMessage(AddReceiverSecretResponseSchema, response);
        note(`${name} has ${response.receiver?.secretTimes.length} secrets; the new one cannot be shown again:`);
        print(printable(response.secret));
      }),
    );
  return addOperatorOptions(command, {
    examples: ["SECRET=$(bmaas receivers rotate oncall)", "bmaas receivers rotate oncall --retire"],
    more: ["\nWith --json: one AddReceiverSecretResponse, or RetireReceiverSecretsResponse, of bmaas.admin.v1."],
  });
}
