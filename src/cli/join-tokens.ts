/** `bmaas join-tokens`: operators' commands for the tokens that let agents in. */
import { Command } from "commander";
import { createCommand } from "./join-tokens/create.ts";
import { listCommand } from "./join-tokens/list.ts";
import { revokeCommand } from "./join-tokens/revoke.ts";

/** Creates the command `bmaas join-tokens`, with its subcommands. */
export function joinTokensCommand(): Command {
  return new Command("join-tokens").addCommand(createCommand()).addCommand(listCommand()).addCommand(revokeCommand());
}
