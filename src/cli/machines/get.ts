/** `bmaas machines get` */
import { Command } from "commander";
import { GetMachineResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineIdArgument } from "../operator/arguments.ts";
import { printMachine } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { printMessage } from "../operator/output.ts";

/** Creates the command `bmaas machines get`. */
export function getCommand(): Command {
  const command = new Command("get")
    .description("show a machine")
    .argument("<machine-id>", "the machine", machineIdArgument)
    .action(
      operate(async (operator, { json }: OperatorFlags, machineId: string) => {
        const response = await operator.client(MachineService).getMachine({ machineId });
        if (json) printMessage(GetMachineResponseSchema, response);
        else printMachine(response.machine);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas machines get 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11"],
    more: ["\nWith --json: one GetMachineResponse of bmaas.admin.v1."],
  });
}
