/** `bmaas simulate`: a fleet of agents against a server, to see what it bears. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ConfigError, type Flags, loadConfig } from "../config.ts";
import { createFileOnce } from "../write-file-atomically.ts";
import type { Operator } from "./operator/admin-client.ts";
import { durationArgument, limitArgument } from "./operator/arguments.ts";
import { addSettings } from "./settings-options.ts";

interface SimulateFlags extends Flags {
  readonly machines: number;
  readonly endpoint: string;
  readonly ca?: string;
  readonly proof: "signature" | "certificate";
  readonly connections: number;
  readonly interval: number;
  readonly ignorePacing?: boolean;
  readonly duration: number;
  readonly hardwareShare: number;
  readonly installations: number;
  readonly installDuration: number;
  readonly failShare: number;
  readonly vanishShare: number;
  readonly stormEvery?: number;
  readonly fleet?: string;
  readonly register: boolean;
  readonly seedFile?: string;
  readonly json?: boolean;
}

/** The command for main. */
export function simulateCommand(): Command {
  const command = new Command("simulate")
    .description("run a fleet of simulated agents against a server; installations are only pretended")
    .option("--machines <number>", "how many", limitArgument, 1000)
    .option("--endpoint <url>", "the agents' listener", "https://127.0.0.1:8443")
    .option("--ca <file>", "trust the CAs in this PEM file (default: tls/ca.pem under BMAAS_HOME, where there is one)")
    .option(
      "--proof <kind>",
      "signature shares connections; certificate gives every agent one",
      proofArgument,
      "signature",
    )
    .option("--connections <number>", "how many connections signed heartbeats share", limitArgument, 32)
    .option("--interval <duration>", "time between the heartbeats of an agent", durationArgument, 30_000)
    .option("--ignore-pacing", "keep to the interval, whatever the server asks for")
    .option("--duration <duration>", "how long to run", durationArgument, 60_000)
    .option("--hardware-share <share>", "share of the agents that hand in their hardware, 0 to 1", shareArgument, 1)
    .option("--installations <number>", "request so many installations, spread over the run", countArgument, 0)
    .option("--install-duration <duration>", "how long an installation takes", durationArgument, 5_000)
    .option("--fail-share <share>", "share of installations that fail, 0 to 1", shareArgument, 0)
    .option(
      "--vanish-share <share>",
      "share of installations whose agent is never heard of again, 0 to 1",
      shareArgument,
      0,
    )
    .option("--storm-every <duration>", "break all connections at once, so often", durationArgument)
    .option(
      "--fleet <file>",
      "secret that the fleet's keys are made of, made when absent (default: simulation.key under BMAAS_HOME)",
    )
    .option("--no-register", "the machines and keys are there already")
    .option("--seed-file <file>", "only write the fleet into a seed file, for: bmaas seed FILE")
    .option("--json", "print the summary as JSON")
    .action(run);
  return addSettings(command, ["adminUrl", "adminCa", "adminPlaintext", "home"]).addHelpText(
    "after",
    `
Example, beside "npm start":
  bmaas simulate --machines 20000 --duration 2m --installations 100 --fail-share 0.1

It registers its machines under the provider "simulation", or finds those of an earlier run. To be rid of them:
  bmaas machines delete --selector provider=simulation

Exit status: 0 done, also when heartbeats failed; 1 a machine was asked to install what it had reported already, or it could not
run; 2 wrong usage, configuration or input.`,
  );
}

function proofArgument(text: string): "signature" | "certificate" {
  if (text !== "signature" && text !== "certificate")
    throw new InvalidArgumentError("Neither signature nor certificate.");
  return text;
}

function shareArgument(text: string): number {
  const share = Number(text);
  if (!/^[\d.]+$/.test(text) || !(share >= 0 && share <= 1)) throw new InvalidArgumentError("Not a share from 0 to 1.");
  return share;
}

function countArgument(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Not a whole number.");
  return Number(text);
}

async function run(flags: SimulateFlags): Promise<void> {
  const config = loadConfig(undefined, { home: flags.home });
  const endpoint = readEndpoint(flags);
  const [simulate, { connectOperator }] = await Promise.all([loadSimulation(), import("./operator/admin-client.ts")]);
  const secret = await readFleetSecret(resolve(flags.fleet ?? `${config.home}/simulation.key`));
  const identities = Array.from({ length: flags.machines }, (_, index) =>
    simulate.createSimulatedIdentity(secret, index),
  );
  if (flags.seedFile !== undefined) return await writeFile(flags.seedFile, simulate.formatFleetSeed(identities));

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const display = simulate.createSimulationDisplay(process.stderr);
  const isOperated = flags.register || flags.installations > 0;
  const operator = isOperated ? await connectOperator(flags) : undefined;
  if (flags.register && operator !== undefined) {
    await simulate.registerFleet({
      identities,
      machines: operator.client(MachineService),
      agents: operator.client(AgentService),
      concurrency: 16,
      onProgress: (count) => display.registered(count, identities.length),
      signal: stop.signal,
    });
  }
  const sender = simulate.createHeartbeatSender({
    endpoint,
    ca: await readCa(flags.ca, config.home),
    proof: flags.proof,
    connections: flags.connections,
    timeoutMs: 10_000,
  });
  const figures = await simulate.runSimulation({
    identities,
    sender,
    behaviour: {
      intervalMs: flags.interval,
      obeysPacing: flags.ignorePacing !== true,
      hardwareShare: flags.hardwareShare,
      installMs: flags.installDuration,
      failShare: flags.failShare,
      vanishShare: flags.vanishShare,
      random: Math.random,
    },
    // What the server lets one connection have open at once.
    maxInFlight: flags.proof === "certificate" ? 5_000 : Math.min(5_000, 90 * flags.connections),
    stormEveryMs: flags.stormEvery,
    installations: flags.installations,
    requestInstallation: operator && createInstallationRequester(operator),
    durationMs: flags.duration,
    random: Math.random,
    signal: stop.signal,
    onFigures: (current) => display.figures(current),
  });
  sender.close();
  display.end();
  const summary = figures.summarize();
  process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : simulate.formatSummary(summary));
  if (figures.spuriousRequests > 0) {
    throw new Error(`${figures.spuriousRequests} machines were asked to install what they had reported already`);
  }
}

/** Loaded when it runs, so that help and the other commands start without it. */
async function loadSimulation() {
  const [keys, registration, sending, running, display, summary] = await Promise.all([
    import("../simulate/fleet-identities.ts"),
    import("../simulate/register-fleet.ts"),
    import("../simulate/heartbeat-sender.ts"),
    import("../simulate/run-simulation.ts"),
    import("./simulate-display.ts"),
    import("./simulate-summary.ts"),
  ]);
  return { ...keys, ...registration, ...sending, ...running, ...display, ...summary };
}

function createInstallationRequester(operator: Operator): (machineId: string) => Promise<void> {
  const installations = operator.client(InstallationService);
  const value = {
    url: "https://images.example/simulated.img",
    digest: `sha256:${"0".repeat(64)}`,
    rootDevice: "sda",
  };
  return async (machineId) => {
    await installations.requestInstallation({ machineId, target: { type: { case: "image", value } } });
  };
}

function readEndpoint({ endpoint, proof }: SimulateFlags): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError(["--endpoint: not an http or https URL, for example https://127.0.0.1:8443"]);
  }
  if (url.protocol === "http:" && proof === "certificate") {
    throw new ConfigError(["--endpoint: a client certificate needs an https URL (without TLS, use --proof signature)"]);
  }
  return url;
}

/** A development server's CA is taken from where it is when nothing else is said. */
async function readCa(file: string | undefined, home: string): Promise<string | undefined> {
  try {
    return await readFile(file ?? `${home}/tls/ca.pem`, "utf8");
  } catch (error) {
    if (file === undefined) return undefined;
    throw new ConfigError([`--ca: ${(error as Error).message}`]);
  }
}

async function readFleetSecret(file: string): Promise<Buffer> {
  await mkdir(dirname(file), { recursive: true });
  const text = await createFileOnce(file, `${randomBytes(32).toString("hex")}\n`, 0o600);
  if (!/^[0-9a-f]{64}\n$/.test(text)) throw new ConfigError([`--fleet: ${file} does not hold 64 hexadecimal digits`]);
  return Buffer.from(text.trim(), "hex");
}
