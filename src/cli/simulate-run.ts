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
import { onEndSignal } from "./end-signal.ts";
import { connectOperator, type Operator } from "./operator/admin-client.ts";
import { toCommandFailure } from "./operator/explain-failure.ts";
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
  const fleet = resolve(flags.fleet ?? `${config.home}/simulation.key`);
  const createIdentities = async () => {
    const secret = await readFleetSecret(fleet, { mustExist: !flags.register && flags.seedFile === undefined });
    return Array.from({ length: flags.machines }, (_, index) => createSimulatedIdentity(secret, index));
  };
  if (flags.seedFile !== undefined)
    return await writeSeedFile(flags.seedFile, formatFleetSeed(await createIdentities()));

  const ca = await readCa(flags.ca, config.home);
  const stop = new AbortController();
  onEndSignal(() => stop.abort());
  const display = createSimulationDisplay(process.stderr);
  const isOperated = flags.register || flags.installations > 0;
  // Creates no fleet, and no folder for it, under a home that only was mistyped.
  const operator = isOperated ? await connectOperator(config) : undefined;
  const identities = await createIdentities();
  if (flags.register && operator !== undefined) {
    await registerFleet({
      identities,
      machines: operator.client(MachineService),
      agents: operator.client(AgentService),
      concurrency: 2,
      onProgress: (count) => display.registered(count, identities.length),
      signal: stop.signal,
    }).catch((error: unknown) => {
      throw toCommandFailure(error, operator.server);
    });
  }
  const sender = createHeartbeatSender({
    endpoint,
    ca,
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

async function writeSeedFile(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new ConfigError([`--seed-file: ${(error as Error).message}`]);
  }
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

async function readFleetSecret(file: string, { mustExist }: { mustExist: boolean }): Promise<Buffer> {
  let text: string;
  if (mustExist) {
    text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw new ConfigError([`--fleet: ${error.message}`]);
      throw new ConfigError([
        `--no-register: there is no fleet yet (no ${file}): leave the option out, or name --fleet`,
      ]);
    });
  } else {
    await mkdir(dirname(file), { recursive: true });
    text = await createFileOnce(file, `${randomBytes(32).toString("hex")}\n`, 0o600);
  }
  if (!/^[0-9a-f]{64}\n$/.test(text)) throw new ConfigError([`--fleet: ${file} does not hold 64 hexadecimal digits`]);
  return Buffer.from(text.trim(), "hex");
}
