/** `bmaas machines hold` */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  MachineService,
  SetHoldRequestSchema,
  SetHoldResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { inBatches } from "../operator/act-in-batches.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { lastingArgument } from "../operator/arguments.ts";
import { describeHold } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";

interface HoldFlags extends OperatorFlags, TargetFlags {
  readonly reason: string;
  readonly ticket?: string;
  readonly for?: number;
  readonly mute?: boolean;
}

/** The command for machinesCommand. */
export function holdCommand(): Command {
  const command = addTargetsToChange(new Command("hold"))
    .description("hold machines: no installation can be requested for them or given to their agents")
    .requiredOption("--reason <text>", "why the machines are held, for other operators")
    .option("--ticket <url>", "URL where the work is tracked")
    .option("--for <duration>", "how long, for example 4h (default: until the machine is released)", lastingArgument)
    .option("--mute", "also leave the machines out of alerts")
    .action(
      operate(async (operator, flags: HoldFlags, machineIds: readonly string[]) => {
        const { reason, ticket = "", for: durationMs, mute = false } = flags;
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Hold #?");
        const end =
          durationMs === undefined ? undefined : { case: "duration" as const, value: durationFromMs(durationMs) };
        const client = operator.client(MachineService);
        await actAndReport(operator, targets, flags, {
          act: inBatches({
            schema: SetHoldRequestSchema,
            toRequest: ({ machineId }) => ({ machineId, reason, ticket, mute, ...(end && { end }) }),
            send: (request) => client.setHold(request),
            sendBatch: async (requests) => {
              const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS };
              const { machines, replaced, failedRequests } = await client.batchSetHolds(batch);
              const answers = machines.map((machine) => ({ machine, former: replaced[machine.id] }));
              return { answers, failedRequests };
            },
            toAnswer: ({ machine, former }) =>
              create(SetHoldResponseSchema, { machine, ...(former && { replaced: former }) }),
          }),
          describe: ({ machine, replaced }, { machineId }) => {
            const instead = replaced === undefined ? "" : `, in place of the hold ${describeHold(replaced)}`;
            return `${machineId}  held ${machine?.hold === undefined ? "" : describeHold(machine.hold)}${instead}`;
          },
          toJson: (response) => messageToJson(SetHoldResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      'bmaas machines hold 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --reason "fan replaced on the bench" --for 4h',
      "bmaas machines hold --selector label.rack=r12 --reason power --ticket https://tickets.example/812 --mute --yes",
    ],
    more: [
      "\nAn installation that an agent has already been given continues. A second hold replaces the first one.",
      severalHelp("SetHoldResponse"),
    ],
  });
}
