/** `bmaas machines find` */
import { Command } from "commander";
import {
  FindMachinesResponseSchema,
  type FoundMachine,
  MachineService,
  type Match,
  MatchKind,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { argumentParser, limitArgument, searchArgument } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { matchKindNames, showMachineState } from "../operator/state-names.ts";
import { timeOf } from "../operator/timestamp-text.ts";

interface FindFlags extends OperatorFlags {
  readonly limit?: number;
}

/** Creates the command `bmaas machines find`. */
export function findCommand(): Command {
  const command = new Command("find")
    .description("find machines by a serial number, MAC address, WWN, id, address or label, or its beginning")
    .argument("<text>", "what to look for", searchArgument)
    .option("--limit <number>", "maximum number of machines, up to 100 (default: 20)", foundLimitArgument)
    .action(
      operate(async (operator, { limit = 0, json }: FindFlags, text: string) => {
        const response = await operator.client(MachineService).findMachines({ text, limit });
        const { results, more } = response;
        if (json) printMessage(FindMachinesResponseSchema, response);
        if (results.length === 0) throw explainNothing(text);
        if (json) return;
        printTable(["ID", "STATE", "PROVIDER", "LOCATION", "MATCH"], results.map(toRow));
        const count = results.length === 1 ? "1 machine" : `${results.length} machines`;
        note(more ? `${count}, and more match: write more of it, or use --limit` : count);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines find ZC1A2B3C",
      "bmaas machines find 3c-ec-ef-0a-0b-0c",
      "bmaas machines find 4b9f3a --json | jq -r '.results[].machine.id'",
    ],
    more: [
      `
It looks for the ids of machines, providers' ids and addresses, values of labels, serial numbers of machines, boards,
chassis and disks, system UUIDs, MAC addresses, and WWNs. Case, spaces and separators of hexadecimal digits do not matter.
Machines with exactly the text come first, then those that had such a part before, then those with something that
begins with it. Exit status 3 says that nothing was found.`,
      "\nWith --json: one FindMachinesResponse of bmaas.admin.v1.",
    ],
  });
}

const foundLimitArgument = argumentParser((text) => {
  const limit = limitArgument(text);
  if (limit > 100) throw new Error("expected a number up to 100");
  return limit;
});

function toRow({ machine, matches }: FoundMachine): Cell[] {
  return [
    machine?.id ?? "",
    machine === undefined ? "-" : showMachineState(machine.state),
    machine?.provided?.provider || "-",
    machine?.provided?.location || "-",
    describeMatches(matches),
  ];
}

/** Returns the best match, and how many others there are. */
function describeMatches([best, ...others]: readonly Match[]): string {
  if (best === undefined) return "-";
  return others.length === 0 ? describeMatch(best) : `${describeMatch(best)}, and ${others.length} more`;
}

function describeMatch({ kind, value, part, goneTime }: Match): string {
  const had = goneTime === undefined ? "" : `, until ${timeOf(goneTime)}`;
  if (kind === MatchKind.LABEL) return `label ${part}=${value}`;
  const name = matchKindNames.nameOf(kind).replaceAll("_", " ");
  return `${name} ${value}${part === "" ? "" : ` (${part})`}${had}`;
}

function explainNothing(text: string): CommandFailure {
  return new CommandFailure(
    `no machine has ${JSON.stringify(text)}, nor anything that begins with it: write only the beginning, or look for ` +
      "another name of the machine; what no agent has reported yet cannot be found",
    exitStatus.notFound,
  );
}
