/** `bmaas enrolments`: operators' commands for agents that ask to be let in. */
import { Command } from "commander";
import { approveCommand } from "./enrolments/approve.ts";
import { forgetCommand } from "./enrolments/forget.ts";
import { listCommand } from "./enrolments/list.ts";
import { rejectCommand } from "./enrolments/reject.ts";
import { showCommand } from "./enrolments/show.ts";

/** Creates the command `bmaas enrolments`, with its subcommands. */
export function enrolmentsCommand(): Command {
  return new Command("enrolments")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(approveCommand())
    .addCommand(rejectCommand())
    .addCommand(forgetCommand());
}
