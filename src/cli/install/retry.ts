/** `bmaas install retry` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  InstallationService,
  RetryInstallationRequestSchema,
  RetryInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { inBatches } from "../operator/act-in-batches.ts";
import { severalHelp } from "../operator/act-on-each.ts";
import { generationArgument } from "../operator/arguments.ts";
import { actAndAwait, addWaitOptions, type WaitFlags, waitHelp } from "../operator/await-outcomes.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, findTargets, type TargetFlags } from "../operator/targets.ts";
import { confirmWipe, type FindConfirmed } from "./confirm-wipe.ts";

interface RetryFlags extends OperatorFlags, TargetFlags, WaitFlags {
  readonly generation?: bigint;
  readonly force?: boolean;
}

/** Creates the command `bmaas install retry`. */
export function retryCommand(): Command {
  const command = addWaitOptions(addTargetsToChange(new Command("retry")))
    .description("request a failed, overdue or withheld installation again, and choose its disk anew")
    .option("--generation <number>", "retry only if this is the newest generation", generationArgument)
    .option(
      "--force",
      "request an image even if the agent has never shown that it supports images; it may report an error and reboot",
    )
    .action(
      operate(async (operator, flags: RetryFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        const client = operator.client(InstallationService);
        const act = (validateOnly: boolean, findConfirmed: FindConfirmed = () => undefined) =>
          inBatches({
            schema: RetryInstallationRequestSchema,
            toRequest: ({ machineId, machine }) => ({
              machineId,
              // For a selected machine, the installation that it had when it was selected.
              expectedGeneration: flags.generation ?? machine?.installation?.generation ?? 0n,
              force: flags.force ?? false,
              expectedDisk: findConfirmed(machineId)?.disk?.id ?? "",
            }),
            send: (request) => client.retryInstallation({ ...request, validateOnly }),
            sendBatch: async (requests) => {
              const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS, validateOnly };
              const { installations, failedRequests } = await client.batchRetryInstallations(batch);
              return { answers: installations, failedRequests };
            },
            toAnswer: (installation) => create(RetryInstallationResponseSchema, { installation }),
          });
        const findConfirmed = await confirmWipe(operator, targets, flags, {
          what: "Install again on # and wipe this disk of each?",
          check: act(true),
        });
        await actAndAwait(operator, targets, flags, {
          act: act(false, findConfirmed),
          toJson: (response) => messageToJson(RetryInstallationResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install retry 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --wait",
      "bmaas install retry --selector state=installation_failed,location=am6 --yes",
    ],
    more: [selectorHelp, severalHelp("RetryInstallationResponse"), waitHelp],
  });
}
