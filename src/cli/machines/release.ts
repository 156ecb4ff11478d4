/** `bmaas machines release` */
import { Command } from "commander";
import { ClearHoldResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
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
          act: ({ machineId }) => client.clearHold({ machineId }),
          describe: (_, { machineId }) => `${machineId}  released`,
          toJson: (response) => messageToJson(ClearHoldResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines release 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas machines release --selector held=yes,label.rack=r12",
    ],
    more: [severalHelp("ClearHoldResponse")],
  });
}
