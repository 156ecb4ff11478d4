/** `bmaas receivers`: commands for the endpoints that are sent events. */
import { Command } from "commander";
import { createCommand } from "./receivers/create.ts";
import { deleteCommand } from "./receivers/delete.ts";
import { deliveriesCommand } from "./receivers/deliveries.ts";
import { listCommand } from "./receivers/list.ts";
import { probeCommand } from "./receivers/probe.ts";
import { resendCommand } from "./receivers/resend.ts";
import { rotateCommand } from "./receivers/rotate.ts";

/** Creates the command `bmaas receivers`, with its subcommands. */
export function receiversCommand(): Command {
  return new Command("receivers")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(probeCommand())
    .addCommand(deliveriesCommand())
    .addCommand(resendCommand())
    .addCommand(rotateCommand())
    .addCommand(deleteCommand());
}
