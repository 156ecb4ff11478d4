/** Runs `bmaas simulate`. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createFileOnce } from "../base/atomic-file.ts";
import { ConfigError, type Flags, loadConfig } from "../config/config.ts";
import { createSimulatedIdentity } from "../simulate/fleet-identities.ts";
import { createHeartbeatSender } from "../simulate/heartbeat-sender.ts";
import { formatFleetSeed, registerFleet } from "../simulate/register-fleet.ts";
import { runSimulation } from "../simulate/run-simulation.ts";
import { connectOperator, type Operator } from "./operator/admin-client.ts";
import { createSimulationDisplay, formatSummary } from "./simulate-display.ts";

/** Flags of the command line; durations are in milliseconds. */
export interface SimulateFlags extends Flags {
  readonly machines: number;
  readonly endpoint: string;
  readonly ca?: string;
  readonly proof: "signature" | "certificate";
  readonly connections: number;
  readonly interval?: number;
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

/** Interval of agents that are not paced, in milliseconds. */
const defaultIntervalMs = 30_000;

/**
 * Registers the fleet, except with `--no-register`, runs it, and prints the summary. Throws if the server requested an
 * installation that was already reported.
 */
export async function runSimulateCommand(flags: SimulateFlags): Promise<void> {
  const config = loadConfig(undefined, flags);
  const endpoint = readEndpoint(flags);
  const secret = await readFleetSecret(resolve(flags.fleet ?? `${config.home}/simulation.key`));
  const identities = Array.from({ length: flags.machines }, (_, index) => createSimulatedIdentity(secret, index));
  if (flags.seedFile !== undefined) return await writeFile(flags.seedFile, formatFleetSeed(identities));

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const display = createSimulationDisplay(process.stderr);
  const isOperated = flags.register || flags.installations > 0;
  const operator = isOperated ? await connectOperator(config) : undefined;
  if (flags.register && operator !== undefined) {
    await registerFleet({
      identities,
      machines: operator.client(MachineService),
      agents: operator.client(AgentService),
      concurrency: 2,
      onProgress: (count) => display.registered(count, identities.length),
      signal: stop.signal,
    });
  }
  const sender = createHeartbeatSender({
    endpoint,
    ca: await readCa(flags.ca, config.home),
    proof: flags.proof,
    connections: flags.connections,
    timeoutMs: 10_000,
  });
  const figures = await runSimulation({
    identities,
    sender,
    behaviour: {
      intervalMs: flags.interval ?? defaultIntervalMs,
      obeysPacing: flags.interval === undefined,
      hardwareShare: flags.hardwareShare,
      installMs: flags.installDuration,
      failShare: flags.failShare,
      vanishShare: flags.vanishShare,
      random: Math.random,
    },
    // The server limits the number of concurrent streams of one connection.
    maxInFlight: flags.proof === "certificate" ? 5_000 : Math.min(5_000, 90 * flags.connections),
    stormEveryMs: flags.stormEvery,
    installations: flags.installations,
    requestInstallation: operator && createInstallationRequester(operator),
    durationMs: flags.duration,
    random: Math.random,
    signal: stop.signal,
    onFigures: (current) => display.figures(current),
  }).finally(() => {
    // Open connections would keep the process alive, also after an error.
    sender.close();
    display.end();
  });
  const summary = figures.summarize();
  process.stdout.write(flags.json ? `${JSON.stringify(summary)}\n` : formatSummary(summary));
  if (figures.spuriousRequests > 0) {
    throw new Error(`${figures.spuriousRequests} machines were asked to install what they had already reported`);
  }
}

function createInstallationRequester(operator: Operator): (machineId: string) => Promise<void> {
  const installations = operator.client(InstallationService);
  const value = {
    url: "https://images.example/simulated.img",
    digest: `sha256:${"0".repeat(64)}`,
    rootDevice: "sda",
  };
  return async (machineId) => {
    // Simulated agents have no disks, and not all of them report any.
    const target = { type: { case: "image" as const, value } };
    await installations.requestInstallation({ machineId, target, uncheckedDisk: true });
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

/** Reads the CA file. The default is a development server's CA, if there is one. */
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
