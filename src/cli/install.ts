/** `bmaas install`: operators' commands for OS installations. */
import { Command } from "commander";
import { cancelCommand } from "./install/cancel.ts";
import { getCommand } from "./install/get.ts";
import { listCommand } from "./install/list.ts";
import { requestCommand } from "./install/request.ts";
import { retryCommand } from "./install/retry.ts";

/** Creates the command `bmaas install`, with its subcommands. */
export function installCommand(): Command {
  return new Command("install")
    .addCommand(requestCommand())
    .addCommand(retryCommand())
    .addCommand(cancelCommand())
    .addCommand(listCommand())
    .addCommand(getCommand());
}
