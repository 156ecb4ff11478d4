/** `bmaas simulate`: simulates a fleet of agents that puts load on a server. */
import { Command, InvalidArgumentError, Option } from "commander";
import { durationArgument, limitArgument } from "./operator/arguments.ts";
import { addSettings } from "./settings-options.ts";
import type { SimulateFlags } from "./simulate-run.ts";

/** Creates the command `bmaas simulate`. */
export function simulateCommand(): Command {
  const command = new Command("simulate")
    .option("--machines <number>", "number of machines", limitArgument, 1000)
    .option("--endpoint <url>", "the agents' listener", "https://127.0.0.1:8443")
    .option("--ca <file>", "trust the CAs in this PEM file (default: tls/ca.pem under BMAAS_HOME, if it exists)")
    .option(
      "--proof <kind>",
      "signature: agents share connections; certificate: one connection per agent",
      proofArgument,
      "signature",
    )
    .option("--connections <number>", "number of connections that signed heartbeats share", limitArgument, 32)
    .option(
      "--interval <duration>",
      "time between an agent's heartbeats (default: as the server requests, else 30s)",
      durationArgument,
    )
    .addOption(
      new Option("--duration <duration>", "how long to run").argParser(durationArgument).default(60_000, "60s"),
    )
    .option("--hardware-share <share>", "share of agents that report their hardware, 0 to 1", shareArgument, 1)
    .option("--installations <number>", "number of installations to request, spread over the run", countArgument, 0)
    .addOption(
      new Option("--install-duration <duration>", "how long an installation takes")
        .argParser(durationArgument)
        .default(5_000, "5s"),
    )
    .option("--fail-share <share>", "share of installations that fail, 0 to 1", shareArgument, 0)
    .option("--vanish-share <share>", "share of installations whose agent then stays silent, 0 to 1", shareArgument, 0)
    .option("--storm-every <duration>", "break all connections at once, this often", durationArgument)
    .option(
      "--fleet <file>",
      "file of the secret from which keys are derived, created if absent (default: simulation.key under BMAAS_HOME)",
    )
    .option("--no-register", "do not create the machines and keys; they exist already")
    .option("--seed-file <file>", "only write the fleet to a seed file, for: bmaas seed FILE")
    .option("--json", "print the summary as JSON")
    .action(async (flags: SimulateFlags) => (await import("./simulate-run.ts")).runSimulateCommand(flags));
  return addSettings(command, "operators").addHelpText(
    "after",
    `
Example, beside "npm start":
  bmaas simulate --machines 20000 --duration 2m --installations 100 --fail-share 0.1

It registers its machines under the provider "simulation", or finds those of an earlier run. To delete them:
  bmaas machines delete --selector provider=simulation --force

Exit status: 0 done, even if heartbeats failed; 1 a machine was asked to install what it had already reported, or the run
failed; 2 wrong usage, configuration or input; 4 to 6 registering failed, as for other commands that call a server.`,
  );
}

function proofArgument(text: string): "signature" | "certificate" {
  if (text !== "signature" && text !== "certificate")
    throw new InvalidArgumentError("Expected signature or certificate.");
  return text;
}

function shareArgument(text: string): number {
  const share = Number(text);
  if (!/^[\d.]+$/.test(text) || !(share >= 0 && share <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1.");
  return share;
}

function countArgument(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}
