/** `bmaas machines list` */
import { Command } from "commander";
import { MachineSchema } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { ListMachinesResponseSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { labelKeysArgument, limitArgument } from "../operator/arguments.ts";
import { type ListedMachines, listMachines, walkMachines } from "../operator/list-pages.ts";
import { machineHeader, toMachineRow } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { beginList, type ListPrinter, note, printTable } from "../operator/output.ts";
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
        if (json) return await printMachines(walkMachines(operator, filter, limit));
        const { machines } = await listMachines(operator, filter, limit);
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
      "\nWith --json: one ListMachinesResponse of bmaas.admin.v1; machines watch --from its watchToken misses no change.\n" +
        "It is printed while pages come: after a failure, which the exit status tells, it is not whole.",
    ],
  });
}

/** Prints one ListMachinesResponse page by page, so that a large fleet needs no memory. */
async function printMachines(pages: AsyncIterable<ListedMachines>): Promise<void> {
  let document: ListPrinter | undefined;
  for await (const { machines, watchToken } of pages) {
    document ??= beginList(ListMachinesResponseSchema, "machines", { watchToken });
    document.add(MachineSchema, machines);
  }
  document?.end();
}
