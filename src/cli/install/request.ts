/** `bmaas install request` */
import { Command } from "commander";
import {
  InstallationService,
  RequestInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { severalHelp } from "../operator/act-on-each.ts";
import { generationArgument } from "../operator/arguments.ts";
import { actAndAwait, addWaitOptions, type WaitFlags, waitHelp } from "../operator/await-outcomes.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";
import { addInstallationTarget, type InstallationTargetFlags, readInstallationTarget } from "./target-options.ts";

interface RequestFlags extends OperatorFlags, TargetFlags, WaitFlags, InstallationTargetFlags {
  readonly generation?: bigint;
  readonly supersede?: boolean;
  readonly force?: boolean;
}

const exampleDigest = "sha256:abababababababababababababababababababababababababababababababab";

/** Creates the command `bmaas install request`. */
export function requestCommand(): Command {
  const command = addWaitOptions(addInstallationTarget(addTargetsToChange(new Command("request"))))
    .description("request an OS installation, which wipes the machine's root device")
    .option(
      "--generation <number>",
      "generation, which must exceed every earlier one (default: the next one)",
      generationArgument,
    )
    .option(
      "--supersede",
      "replace the open installation even if an agent has already received it and may be installing",
    )
    .option(
      "--force",
      "request an image even if the agent has never shown that it supports images; it may report an error and reboot",
    )
    .action(
      operate(async (operator, flags: RequestFlags, machineIds: readonly string[]) => {
        const target = await readInstallationTarget(flags);
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, `Install on # and wipe disk ${flags.rootDevice} of each?`);
        const client = operator.client(InstallationService);
        const { generation = 0n, supersede: supersedeGiven = false, force = false } = flags;
        await actAndAwait(operator, targets, flags, {
          act: ({ machineId }) => client.requestInstallation({ machineId, target, generation, supersedeGiven, force }),
          toJson: (response) => messageToJson(RequestInstallationResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install request 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --root-device sda --wait \\",
      `  --image https://images.example/debian-13.img --digest ${exampleDigest}`,
      "bmaas install request --selector provider=equinix,state=heartbeating --root-device nvme0n1 --user-data cloud.yaml \\",
      `  --image https://images.example/debian-13.img --digest ${exampleDigest}`,
      "bmaas install request 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --root-device sda --node-parameters node.bin \\",
      `  --metropolis registry.example/metropolis/node:v1@${exampleDigest}`,
    ],
    more: [selectorHelp, severalHelp("RequestInstallationResponse"), waitHelp],
  });
}
