/** `bmaas tokens`: how operators and programs prove who they are. */
import { Command } from "commander";
import { createCommand } from "./tokens/create.ts";
import { listCommand } from "./tokens/list.ts";
import { revokeCommand } from "./tokens/revoke.ts";
import { whoamiCommand } from "./tokens/whoami.ts";

/** The command for main, with its subcommands. */
export function tokensCommand(): Command {
  return new Command("tokens")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand())
    .addCommand(whoamiCommand());
}
