/** `bmaas install list` */
import { create } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import {
  InstallationService,
  ListInstallationsResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { limitArgument, machineIdArgument } from "../operator/arguments.ts";
import { installationHeader, toInstallationRow } from "../operator/installation-text.ts";
import { listPages } from "../operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, printMessage, printTable } from "../operator/output.ts";
import { installationStateNames } from "../operator/state-names.ts";

interface ListFlags extends OperatorFlags {
  readonly machine?: string;
  readonly state?: readonly string[];
  readonly limit?: number;
}

/** Creates the command `bmaas install list`. */
export function listCommand(): Command {
  const command = new Command("list")
    .description("list installations by machine, newest first")
    .option("--machine <machine-id>", "list only installations of this machine", machineIdArgument)
    .addOption(
      new Option("--state <states...>", "list only installations in these states").choices(
        installationStateNames.names,
      ),
    )
    .option("--limit <number>", "maximum number to list (default: all)", limitArgument)
    .action(
      operate(async (operator, { machine: machineId = "", state = [], limit, json }: ListFlags) => {
        const states = state.flatMap((name) => installationStateNames.find(name) ?? []);
        const client = operator.client(InstallationService);
        const installations = await listPages(
          (page) => client.listInstallations({ machineId, states, ...page }),
          (answer) => answer.installations,
          limit,
        );
        if (json) {
          const list = create(ListInstallationsResponseSchema, { installations });
          return printMessage(ListInstallationsResponseSchema, list);
        }
        if (installations.length > 0) printTable(installationHeader, installations.map(toInstallationRow));
        note(installations.length === 1 ? "1 installation" : `${installations.length} installations`);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas install list --state failed overdue",
      "bmaas install list --machine 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --json",
    ],
    more: ["\nWith --json: one ListInstallationsResponse of bmaas.admin.v1."],
  });
}
