/** `bmaas machines explain` */
import { Command } from "commander";
import {
  type ExplainMachineResponse,
  ExplainMachineResponseSchema,
  MachineService,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { actAndReport, isSingle, severalHelp } from "../operator/act-on-each.ts";
import { listIssueLines } from "../operator/issue-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { formatFields, messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { showMachineState } from "../operator/state-names.ts";
import { addTargets, findTargets, type TargetFlags } from "../operator/targets.ts";
import { timeOf } from "../operator/timestamp-text.ts";

/** Creates the command `bmaas machines explain`. */
export function explainCommand(): Command {
  const command = addTargets(new Command("explain"))
    .description("explain why machines are in their state, what happens next and when, and what you can do")
    .action(
      operate(async (operator, flags: OperatorFlags & TargetFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        const client = operator.client(MachineService);
        await actAndReport(operator, targets, flags, {
          act: ({ machineId }) => client.explainMachine({ machineId }),
          describe: (response) => `${describeExplanation(response)}${isSingle(targets, flags) ? "" : "\n"}`,
          toJson: (response) => messageToJson(ExplainMachineResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines explain 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas machines explain --selector state=stale,state=installation_overdue",
    ],
    more: [selectorHelp, severalHelp("ExplainMachineResponse")],
  });
}

/** Returns an explanation as text for people. */
export function describeExplanation({ machine, condition, next, nextTime, remedies }: ExplainMachineResponse): string {
  const nothing = "nothing without you";
  const when = timeOf(nextTime);
  return formatFields([
    ["machine", machine?.id],
    ["state", machine && showMachineState(machine.state)],
    ["since", timeOf(machine?.stateTime)],
    ["because", condition],
    ["issues", listIssueLines(machine?.issues ?? []) || undefined],
    ["next", next === "" ? nothing : [next, when && `by ${when}`].filter(Boolean).join("\n")],
    [
      "you can",
      remedies
        .flatMap(({ description, command }) => [description, command && `  ${command}`])
        .filter(Boolean)
        .join("\n"),
    ],
  ]);
}
