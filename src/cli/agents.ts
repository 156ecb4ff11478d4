/** `bmaas agents`: operators' commands for agents' keys. */
import { Command } from "commander";
import { registerCommand } from "./agents/register.ts";
import { replaceCommand } from "./agents/replace.ts";
import { revokeCommand } from "./agents/revoke.ts";

/** Creates the command `bmaas agents`, with its subcommands. */
export function agentsCommand(): Command {
  return new Command("agents").addCommand(registerCommand()).addCommand(replaceCommand()).addCommand(revokeCommand());
}
