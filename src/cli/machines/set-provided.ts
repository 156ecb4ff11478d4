/** `bmaas machines set-provided` */
import { Command } from "commander";
import { MachineService, SetProvidedResponseSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ConfigError } from "../../config/config.ts";
import { machineIdArgument } from "../operator/arguments.ts";
import { printMachine } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { printMessage } from "../operator/output.ts";
import { addProvidedOptions, type ProvidedFlags, readProvided } from "./provided-options.ts";

interface SetProvidedFlags extends OperatorFlags, ProvidedFlags {
  readonly none?: boolean;
}

/** Creates the command `bmaas machines set-provided`. */
export function setProvidedCommand(): Command {
  const command = addProvidedOptions(
    new Command("set-provided")
      .description("replace the provider's data of a machine; options left out remove their values")
      .argument("<machine-id>", "the machine", machineIdArgument),
  )
    .option("--none", "take all of it away: no provider makes the machine available")
    .action(
      operate(async (operator, { none = false, json, ...flags }: SetProvidedFlags, machineId: string) => {
        const provided = readProvided(flags);
        if (none === (provided !== undefined)) {
          throw new ConfigError([
            "say what the provider says by --provider and --provider-id, or nothing of it by --none",
          ]);
        }
        const request = { machineId, ...(provided && { provided }) };
        const response = await operator.client(MachineService).setProvided(request);
        if (json) printMessage(SetProvidedResponseSchema, response);
        else printMachine(response.machine);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines set-provided 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --provider equinix --provider-id a1 --status running",
      "bmaas machines set-provided 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --none",
    ],
    more: ["\nWith --json: one SetProvidedResponse of bmaas.admin.v1."],
  });
}
