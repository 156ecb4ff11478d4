/** `bmaas machines delete` */
import { Command } from "commander";
import { DeleteMachineResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";

interface DeleteFlags extends OperatorFlags, TargetFlags {
  readonly force?: boolean;
}

/** Creates the command `bmaas machines delete`. */
export function deleteCommand(): Command {
  const command = addTargetsToChange(new Command("delete"))
    .description("delete machines and all their data except their history")
    .option("--force", "delete even while an installation is open; an agent that has been given it continues")
    .action(
      operate(async (operator, flags: DeleteFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Delete # and all their data except their history?");
        const client = operator.client(MachineService);
        await actAndReport(operator, targets, flags, {
          act: ({ machineId }) => client.deleteMachine({ machineId, force: flags.force ?? false }),
          describe: (_response, { machineId }) => `${machineId}  deleted`,
          toJson: (response) => messageToJson(DeleteMachineResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines delete 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas machines delete --selector provider=equinix,heartbeat-older-than=30d",
    ],
    more: [selectorHelp, severalHelp("DeleteMachineResponse")],
  });
}
