/** `bmaas enrolments approve` */
import type { Client } from "@connectrpc/connect";
import { Command } from "commander";
import { ApproveEnrolmentResponseSchema, EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { printable } from "../../base/printable.ts";
import { ConfigError } from "../../config/config.ts";
import { addProvidedOptions, type ProvidedFlags, readProvided } from "../machines/provided-options.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { labelArgument, machineIdArgument } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { confirm, type TargetFlags } from "../operator/targets.ts";
import { addEnrolments, enrolmentKind, enrolmentSelectorHelp, findEnrolmentTargets } from "./enrolment-targets.ts";

interface ApproveFlags extends OperatorFlags, TargetFlags, ProvidedFlags {
  readonly machine?: string;
  readonly expected?: boolean;
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
      .option("--expected", "let each in as the agent of the machine that is expected as the agent describes it")
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
      const { duringInstallation = false, expected: isExpected = false } = flags;
      if (isExpected && machineId !== "") throw new ConfigError(["give either --machine or --expected, not both"]);
      const provided = readProvided(flags);
      const targets = await findEnrolmentTargets(operator, ids, flags);
      if (targets.length > 1 && machineId !== "") {
        throw new ConfigError(["--machine: one machine has one agent, so name one enrolment"]);
      }
      if (targets.length > 1 && provided !== undefined) {
        throw new ConfigError(["--provider-id: one machine has one, so name one enrolment"]);
      }
      const machines = isExpected ? "as the machine that is expected" : "as a new machine";
      await confirm(targets, flags, `Let the agents of # in, each ${machines}?`, { noun: enrolmentKind.noun });
      const client = operator.client(EnrolmentService);
      const request = {
        labels,
        replaceKey,
        allowDuplicate,
        duringInstallation,
        ...(provided && { provided }),
      };
      await actAndReport(operator, targets, flags, {
        act: async ({ machineId: enrolmentId }) => {
          const onto = isExpected ? await findExpectedMachine(client, enrolmentId) : machineId;
          return await client.approveEnrolment({ enrolmentId, machineId: onto, ...request });
        },
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
      "bmaas enrolments approve --selector state=waiting,expected=yes --expected --yes",
    ],
    more: [enrolmentSelectorHelp, severalHelp("ApproveEnrolmentResponse", enrolmentKind)],
  });
}

/** Returns the machine whose expected facts an agent matches, all of them. Throws CommandFailure without one. */
async function findExpectedMachine(client: Client<typeof EnrolmentService>, enrolmentId: string): Promise<string> {
  const { enrolment } = await client.getEnrolment({ enrolmentId });
  if (enrolment?.expectedMachineId) return enrolment.expectedMachineId;
  const reason = enrolment?.waitReason || "no machine is expected as its agent describes it";
  throw new CommandFailure(`${enrolmentId}: ${printable(reason)}`, exitStatus.refused);
}
