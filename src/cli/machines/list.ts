/** `bmaas machines list` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { ListMachinesResponseSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { labelKeysArgument, limitArgument } from "../operator/arguments.ts";
import { listMachines } from "../operator/list-pages.ts";
import { machineHeader, toMachineRow } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, printMessage, printTable } from "../operator/output.ts";
import { parseSelector, selectorHelp } from "../operator/selector.ts";
import { addSelector, type TargetFlags } from "../operator/targets.ts";

interface ListFlags extends OperatorFlags, TargetFlags {
  readonly limit?: number;
  readonly labelColumns?: readonly string[];
}

/** Creates the command `bmaas machines list`. */
export function listCommand(): Command {
  const command = addSelector(new Command("list"))
    .description("list machines, ordered by id")
    .option("--limit <number>", "maximum number to list (default: all)", limitArgument)
    .option("-L, --label-columns <key,…>", "show these labels, one column each", labelKeysArgument)
    .action(
      operate(async (operator, { selector, limit, labelColumns = [], json }: ListFlags) => {
        const filter = selector === undefined ? {} : parseSelector(selector);
        const { machines, watchToken } = await listMachines(operator, filter, limit);
        if (json) {
          const list = create(ListMachinesResponseSchema, { machines: [...machines], watchToken });
          return printMessage(ListMachinesResponseSchema, list);
        }
        if (machines.length > 0) {
          const header = [...machineHeader, ...labelColumns.map((key) => key.toUpperCase())];
          printTable(
            header,
            machines.map((machine) => toMachineRow(machine, labelColumns)),
          );
        }
        note(machines.length === 1 ? "1 machine" : `${machines.length} machines`);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines list --selector state=installation_failed,provider=equinix",
      "bmaas machines list --selector label.rack=r12 -L rack,team",
      "bmaas machines list --selector min-memory=256GiB --json | jq -r '.machines[].id'",
    ],
    more: [
      selectorHelp,
      "\nWith --json: one ListMachinesResponse of bmaas.admin.v1; machines watch --from its watchToken misses no change.",
    ],
  });
}
