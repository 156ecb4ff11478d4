/** `bmaas agents`: what operators do with agents' keys. */
import { Command } from "commander";
import { registerCommand } from "./agents/register.ts";
import { replaceCommand } from "./agents/replace.ts";
import { revokeCommand } from "./agents/revoke.ts";

/** The command for main, with its subcommands. */
export function agentsCommand(): Command {
  return new Command("agents").addCommand(registerCommand()).addCommand(replaceCommand()).addCommand(revokeCommand());
}
