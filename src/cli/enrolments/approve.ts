/** `bmaas enrolments approve` */
import { Command } from "commander";
import { ApproveEnrolmentResponseSchema, EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { printable } from "../../base/printable.ts";
import { ConfigError } from "../../config/config.ts";
import { addProvidedOptions, type ProvidedFlags, readProvided } from "../machines/provided-options.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { labelArgument, machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { confirm, type TargetFlags } from "../operator/targets.ts";
import { addEnrolments, enrolmentKind, enrolmentSelectorHelp, findEnrolmentTargets } from "./enrolment-targets.ts";

interface ApproveFlags extends OperatorFlags, TargetFlags, ProvidedFlags {
  readonly machine?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly replaceKey?: boolean;
  readonly allowDuplicate?: boolean;
  readonly duringInstallation?: boolean;
}

/** Creates the command `bmaas enrolments approve`. */
export function approveCommand(): Command {
  const command = addProvidedOptions(
    addEnrolments(new Command("approve"))
      .description("let agents in, each as the agent of a new machine or of the machine that you name")
      .option("--machine <machine-id>", "the machine of the agent (default: a new one)", machineIdArgument)
      .option("--label <key=value>", "a label of the machine; repeat for more", labelArgument)
      .option("--replace-key", "replace the key that the machine has, which stops working at once")
      .option(
        "--during-installation",
        "replace the key even though its agent was given an installation that is not finished",
      )
      .option(
        "--allow-duplicate",
        "approve even though another machine has the serial number, the UUID or a MAC address of this one",
      ),
  ).action(
    operate(async (operator, flags: ApproveFlags, ids: readonly string[]) => {
      const { machine: machineId = "", label: labels = {}, replaceKey = false, allowDuplicate = false } = flags;
      const { duringInstallation = false } = flags;
      const provided = readProvided(flags);
      const targets = await findEnrolmentTargets(operator, ids, flags);
      if (targets.length > 1 && machineId !== "") {
        throw new ConfigError(["--machine: one machine has one agent, so name one enrolment"]);
      }
      if (targets.length > 1 && provided !== undefined) {
        throw new ConfigError(["--provider-id: one machine has one, so name one enrolment"]);
      }
      await confirm(targets, flags, "Let the agents of # in, each as a new machine?", { noun: enrolmentKind.noun });
      const client = operator.client(EnrolmentService);
      const request = {
        machineId,
        labels,
        replaceKey,
        allowDuplicate,
        duringInstallation,
        ...(provided && { provided }),
      };
      await actAndReport(operator, targets, flags, {
        act: ({ machineId: enrolmentId }) => client.approveEnrolment({ enrolmentId, ...request }),
        describe: ({ machine }, target) => `${target.machineId}  approved as machine ${printable(machine?.id ?? "")}`,
        toJson: (response) => messageToJson(ApproveEnrolmentResponseSchema, response),
        kind: enrolmentKind,
      });
    }),
  );
  return addOperatorOptions(command, {
    examples: [
      "bmaas enrolments approve 0b0c8d2e-3f4a-4c1d-9e57-6a1f0c2d3e4f --label rack=r3",
      "bmaas enrolments approve --selector state=waiting,product=A1 --yes",
    ],
    more: [enrolmentSelectorHelp, severalHelp("ApproveEnrolmentResponse", enrolmentKind)],
  });
}
