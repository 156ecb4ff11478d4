/** `bmaas install get` */
import { Command } from "commander";
import {
  GetInstallationResponseSchema,
  InstallationService,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { generationArgument, machineIdArgument } from "../operator/arguments.ts";
import { actAndAwait, addWaitOptions, type WaitFlags, waitHelp } from "../operator/await-outcomes.ts";
import { listInstallationFields } from "../operator/installation-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { formatFields, messageToJson } from "../operator/output.ts";

interface GetFlags extends OperatorFlags, WaitFlags {
  readonly generation?: bigint;
}

/** Creates the command `bmaas install get`. */
export function getCommand(): Command {
  const command = addWaitOptions(new Command("get"))
    .description("show an installation, or follow it to its end")
    .argument("<machine-id>", "the machine", machineIdArgument)
    .option("--generation <number>", "generation to show (default: the newest)", generationArgument)
    .action(
      operate(async (operator, flags: GetFlags, machineId: string) => {
        const client = operator.client(InstallationService);
        await actAndAwait(operator, [{ machineId }], flags, {
          act: () => client.getInstallation({ machineId, generation: flags.generation ?? 0n }),
          describe: ({ installation }) =>
            installation === undefined
              ? ""
              : formatFields([["machine", machineId], ...listInstallationFields(installation)]),
          toJson: (response) => messageToJson(GetInstallationResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install get 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas install get 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --generation 2 --wait --timeout 20m",
    ],
    more: ["\nWith --json: one GetInstallationResponse of bmaas.admin.v1.", waitHelp],
  });
}
