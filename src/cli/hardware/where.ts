/** `bmaas hardware where` */
import { Command } from "commander";
import {
  FindPartsResponseSchema,
  HardwareService,
  type Part,
} from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { searchArgument } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { matchKindNames } from "../operator/state-names.ts";
import { timeOf } from "../operator/timestamp-text.ts";

/** Creates the command `bmaas hardware where`. */
export function whereCommand(): Command {
  const command = new Command("where")
    .description("show which machine has a part now, and which had it before")
    .argument("<serial>", "serial number, WWN or MAC address of the part, or its beginning", searchArgument)
    .action(
      operate(async (operator, { json }: OperatorFlags, text: string) => {
        const response = await operator.client(HardwareService).findParts({ text });
        const { parts, more } = response;
        if (json) printMessage(FindPartsResponseSchema, response);
        if (parts.length === 0) throw explainNothing(text);
        if (json) return;
        printTable(["PART", "VALUE", "MODEL", "MACHINE", "SINCE", "UNTIL"], parts.flatMap(toRows));
        if (more) note("there are more: write more of the serial number");
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas hardware where ZC1A2B3C", "bmaas hardware where 0x5000c500a1b2c3d4"],
    more: [
      `
SINCE and UNTIL are the times of hardware reports: the part came and went at some time before. Machines that are
deleted are not remembered. Exit status 3 says that nothing was found.`,
      "\nWith --json: one FindPartsResponse of bmaas.admin.v1.",
    ],
  });
}

function toRows({ kind, value, part, holders }: Part): Cell[][] {
  return holders.map(({ machineId, sinceTime, goneTime }) => [
    matchKindNames.nameOf(kind).replaceAll("_", " "),
    value,
    part || "-",
    machineId,
    timeOf(sinceTime) ?? "-",
    goneTime === undefined ? { text: "now", style: "green" } : (timeOf(goneTime) ?? "-"),
  ]);
}

function explainNothing(text: string): CommandFailure {
  return new CommandFailure(
    `no machine has or had a part with ${JSON.stringify(text)}: write only the beginning, or try bmaas machines find, ` +
      "which also looks for ids, addresses and labels",
    exitStatus.notFound,
  );
}
