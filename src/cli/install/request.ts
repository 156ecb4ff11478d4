/** `bmaas install request` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  InstallationService,
  RequestInstallationRequestSchema,
  type RequestInstallationResponse,
  RequestInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { inBatches } from "../operator/act-in-batches.ts";
import { actAndReport, isSingle, severalHelp } from "../operator/act-on-each.ts";
import { generationArgument } from "../operator/arguments.ts";
import { actAndAwait, addWaitOptions, type WaitFlags, waitHelp } from "../operator/await-outcomes.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, findTargets, type Target, type TargetFlags } from "../operator/targets.ts";
import { confirmWipe, type FindConfirmed, nameDisk } from "./confirm-wipe.ts";
import {
  addInstallationTarget,
  diskHelp,
  type InstallationTargetFlags,
  readInstallationTarget,
} from "./target-options.ts";

interface RequestFlags extends OperatorFlags, TargetFlags, WaitFlags, InstallationTargetFlags {
  readonly generation?: bigint;
  readonly supersede?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

type Describe = (response: RequestInstallationResponse, target: Target) => string;

const exampleDigest = "sha256:abababababababababababababababababababababababababababababababab";

/** Creates the command `bmaas install request`. */
export function requestCommand(): Command {
  const command = addWaitOptions(addInstallationTarget(addTargetsToChange(new Command("request"))))
    .description("request an OS installation, which wipes a disk of the machine")
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
    .option("--dry-run", "show machine and disk, and request nothing")
    .action(
      operate(async (operator, flags: RequestFlags, machineIds: readonly string[]) => {
        const target = await readInstallationTarget(flags);
        const targets = await findTargets(operator, machineIds, flags);
        const client = operator.client(InstallationService);
        const { generation = 0n, supersede: supersedeGiven = false, force = false, uncheckedDisk = false } = flags;
        const automatic = !isSingle(targets, flags);
        const asked = { target, generation, supersedeGiven, force, uncheckedDisk, automatic };
        const act = (validateOnly: boolean, findConfirmed: FindConfirmed = () => undefined) =>
          inBatches({
            schema: RequestInstallationRequestSchema,
            toRequest: ({ machineId }) => {
              const confirmed = findConfirmed(machineId);
              return {
                ...{ ...asked, machineId, expectedDisk: confirmed?.disk?.id ?? "" },
                // Whoever has requested another one since has taken this generation, and the server refuses it.
                generation: generation || (confirmed?.generation ?? 0n),
              };
            },
            send: (request) => client.requestInstallation({ ...request, validateOnly }),
            sendBatch: async (requests) => {
              const mode = BatchMode.PARTIAL_SUCCESS;
              const batch = { requests, mode, validateOnly };
              const { installations, failedRequests } = await client.batchRequestInstallations(batch);
              return { answers: installations, failedRequests };
            },
            toAnswer: (installation) => create(RequestInstallationResponseSchema, { installation }),
          });
        const toJson = (response: RequestInstallationResponse) =>
          messageToJson(RequestInstallationResponseSchema, response);
        if (flags.dryRun) {
          const describe: Describe = ({ installation }, { machineId }) =>
            `${machineId}  would be installed on ${nameDisk(installation)}`;
          return await actAndReport(operator, targets, flags, { act: act(true), describe, toJson });
        }
        const what = "Install on # and wipe this disk of each?";
        const findConfirmed = await confirmWipe(operator, targets, flags, {
          what,
          check: act(true),
        });
        await actAndAwait(operator, targets, flags, { act: act(false, findConfirmed), toJson });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install request 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --disk wwn=0x5000c500a1b2c3d4 --wait \\",
      `  --image https://images.example/debian-13.img --digest ${exampleDigest}`,
      "bmaas install request --selector provider=equinix,state=heartbeating --disk smallest,nvme --user-data cloud.yaml \\",
      `  --image https://images.example/debian-13.img --digest ${exampleDigest}`,
      "bmaas install request 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --root-device sda --node-parameters node.bin \\",
      `  --metropolis registry.example/metropolis/node:v1@${exampleDigest}`,
    ],
    more: [diskHelp, selectorHelp, severalHelp("RequestInstallationResponse"), waitHelp],
  });
}
