/** `bmaas hardware` */
import { Command } from "commander";
import {
  type HardwareDifference,
  type HardwareReport,
  HardwareService,
  ListHardwareReportsResponseSchema,
} from "../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { printable } from "../base/printable.ts";
import { whereCommand } from "./hardware/where.ts";
import { machineIdArgument } from "./operator/arguments.ts";
import { printHardware } from "./operator/hardware-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "./operator/operate.ts";
import { note, paint, print, printMessage } from "./operator/output.ts";
import { timeOf } from "./operator/timestamp-text.ts";

interface HardwareFlags extends OperatorFlags {
  readonly diff?: boolean;
}

/** Creates the command `bmaas hardware`. */
export function hardwareCommand(): Command {
  const command = new Command("hardware")
    .addCommand(whereCommand())
    .enablePositionalOptions()
    .argument("<machine-id>", "the machine", machineIdArgument)
    .option("--diff", "show only the changes between reports, newest first")
    .action(
      operate(async (operator, { diff = false, json }: HardwareFlags, machineId: string) => {
        const response = await operator.client(HardwareService).listHardwareReports({ machineId });
        if (json) return printMessage(ListHardwareReportsResponseSchema, response);
        const [newest] = response.reports;
        if (newest === undefined) return note("the agent has not reported its hardware yet");
        if (!diff) printHardware(newest);
        const changed = (diff ? response.reports : [newest]).filter(({ differences }) => differences.length > 0);
        for (const report of changed) printDifferences(report);
        if (diff && changed.length === 0) note("the hardware has not changed since the oldest report that is kept");
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas hardware 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas hardware 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --diff",
    ],
    more: ["\nWith --json: one ListHardwareReportsResponse of bmaas.admin.v1: the last ten reports, newest first."],
  });
}

function printDifferences({ reportTime, differences }: HardwareReport): void {
  print(`\nChanged ${timeOf(reportTime) ?? ""}`);
  for (const difference of differences) print(describeDifference(difference));
}

function describeDifference({ path, oldValue, newValue }: HardwareDifference): string {
  const [was, is] = [printable(oldValue), printable(newValue)];
  if (was === "") return paint(`  + ${printable(path)}: ${is}`, "green");
  if (is === "") return paint(`  - ${printable(path)}: ${was}`, "red");
  return paint(`  ~ ${printable(path)}: ${was} -> ${is}`, "yellow");
}
