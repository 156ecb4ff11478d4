/** `bmaas install cancel` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  CancelInstallationRequestSchema,
  CancelInstallationResponseSchema,
  InstallationService,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { inBatches } from "../operator/act-in-batches.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { generationArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";

interface CancelFlags extends OperatorFlags, TargetFlags {
  readonly generation?: bigint;
}

/** Creates the command `bmaas install cancel`. */
export function cancelCommand(): Command {
  const command = addTargetsToChange(new Command("cancel"))
    .description("cancel an installation that no agent has been given yet")
    .option(
      "--generation <number>",
      "cancel only if this is the open generation (default: the newest)",
      generationArgument,
    )
    .action(
      operate(async (operator, flags: CancelFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Cancel the installations of #?");
        const client = operator.client(InstallationService);
        await actAndReport(operator, targets, flags, {
          act: inBatches({
            schema: CancelInstallationRequestSchema,
            toRequest: ({ machineId, machine }) => ({
              machineId,
              // For a selected machine, the installation that it had when it was selected.
              expectedGeneration: flags.generation ?? machine?.installation?.generation ?? 0n,
            }),
            send: (request) => client.cancelInstallation(request),
            sendBatch: async (requests) => {
              const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS };
              const { installations, failedRequests } = await client.batchCancelInstallations(batch);
              return { answers: installations, failedRequests };
            },
            toAnswer: (installation) => create(CancelInstallationResponseSchema, { installation }),
          }),
          describe: ({ installation }, { machineId }) =>
            `${machineId}  generation ${installation?.generation} cancelled`,
          toJson: (response) => messageToJson(CancelInstallationResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install cancel 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas install cancel --selector state=installation_pending,provider=equinix",
    ],
    more: [selectorHelp, severalHelp("CancelInstallationResponse")],
  });
}
