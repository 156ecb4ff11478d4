/** `bmaas tokens`: commands for the tokens of operators and programs. */
import { Command } from "commander";
import { createCommand } from "./tokens/create.ts";
import { listCommand } from "./tokens/list.ts";
import { revokeCommand } from "./tokens/revoke.ts";
import { whoamiCommand } from "./tokens/whoami.ts";

/** Creates the command `bmaas tokens`, with its subcommands. */
export function tokensCommand(): Command {
  return new Command("tokens")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand())
    .addCommand(whoamiCommand());
}
