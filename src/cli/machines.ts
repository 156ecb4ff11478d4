/** `bmaas machines`: operators' commands for machines. */
import { Command } from "commander";
import { bundleCommand } from "./machines/bundle.ts";
import { createCommand } from "./machines/create.ts";
import { deleteCommand } from "./machines/delete.ts";
import { expectCommand } from "./machines/expect.ts";
import { explainCommand } from "./machines/explain.ts";
import { findCommand } from "./machines/find.ts";
import { getCommand } from "./machines/get.ts";
import { healthCommand } from "./machines/health.ts";
import { holdCommand } from "./machines/hold.ts";
import { labelCommand } from "./machines/label.ts";
import { listCommand } from "./machines/list.ts";
import { releaseCommand } from "./machines/release.ts";
import { setProvidedCommand } from "./machines/set-provided.ts";
import { watchCommand } from "./machines/watch.ts";

/** Creates the command `bmaas machines`, with its subcommands. */
export function machinesCommand(): Command {
  return new Command("machines")
    .addCommand(listCommand())
    .addCommand(findCommand())
    .addCommand(getCommand())
    .addCommand(watchCommand())
    .addCommand(explainCommand())
    .addCommand(bundleCommand())
    .addCommand(createCommand())
    .addCommand(setProvidedCommand())
    .addCommand(expectCommand())
    .addCommand(labelCommand())
    .addCommand(healthCommand())
    .addCommand(holdCommand())
    .addCommand(releaseCommand())
    .addCommand(deleteCommand());
}
