/** `bmaas machines release` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  ClearHoldRequestSchema,
  ClearHoldResponseSchema,
  MachineService,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { inBatches } from "../operator/act-in-batches.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";

/** The command for machinesCommand. */
export function releaseCommand(): Command {
  const command = addTargetsToChange(new Command("release"))
    .description("release machines from their hold; agents are given open requests again")
    .action(
      operate(async (operator, flags: OperatorFlags & TargetFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Release #, and give their agents the requests that are open?");
        const client = operator.client(MachineService);
        await actAndReport(operator, targets, flags, {
          act: inBatches({
            schema: ClearHoldRequestSchema,
            toRequest: ({ machineId }) => ({ machineId }),
            send: (request) => client.clearHold(request),
            sendBatch: async (requests) => {
              const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS };
              const { machines, cleared, failedRequests } = await client.batchClearHolds(batch);
              const answers = machines.map((machine) => ({ machine, former: cleared[machine.id] }));
              return { answers, failedRequests };
            },
            toAnswer: ({ machine, former }) =>
              create(ClearHoldResponseSchema, { machine, ...(former && { cleared: former }) }),
          }),
          describe: ({ cleared }, { machineId }) =>
            `${machineId}  ${cleared === undefined ? "was not held" : "released"}`,
          toJson: (response) => messageToJson(ClearHoldResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines release 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas machines release --selector held=yes,label.rack=r12",
    ],
    more: ["\nA machine that is not held stays as it is, which is no error.", severalHelp("ClearHoldResponse")],
  });
}
