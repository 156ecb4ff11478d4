/** `bmaas agent`: the reference agent, and tools for its key. */
import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { ConfigError, loadConfig } from "../config/config.ts";
import { certificateCommand } from "./agent-certificate.ts";
import { findMachineId } from "./agent-enrolment.ts";
import { checkOptionalId, type IdentityOptions, loadKey, loadOrCreateKey } from "./agent-identity.ts";
import {
  chooseInstaller,
  createInstaller,
  findAfterInstallCommand,
  type InstallerFlags,
  installerOption,
} from "./agent-installer.ts";
import { keygenCommand } from "./agent-keygen.ts";
import { signCommand } from "./agent-sign.ts";
import { onEndSignal } from "./end-signal.ts";
import { formatExamples } from "./examples.ts";
import { addSettings } from "./settings-options.ts";

interface AgentFlags extends IdentityOptions, InstallerFlags {
  readonly endpoint?: string;
  readonly ca?: string;
  readonly signed?: boolean;
  readonly joinTokenFile?: string;
  readonly healthCommand?: string;
  readonly healthInterval: number;
  readonly state?: string;
  readonly interval?: number;
  readonly logLevel?: string;
}

const examples = [
  "bmaas agent --machine-id 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --key agent.pem --endpoint https://127.0.0.1:8443 \\",
  "  --ca .bmaas/tls/ca.pem --install-command ./install.sh --after-install-command reboot",
  "bmaas agent --machine-id 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --key agent.pem --endpoint https://127.0.0.1:8443 \\",
  "  --ca .bmaas/tls/ca.pem --installer image --disk-file disk.img",
  "bmaas agent --key agent.pem --join-token-file join.token --endpoint https://127.0.0.1:8443 --ca .bmaas/tls/ca.pem",
];

/** Creates the command `bmaas agent`, with its subcommands. */
export function agentCommand(): Command {
  const command = new Command("agent")
    .enablePositionalOptions()
    .option("--machine-id <uuid>", "id of this machine (default: asks to be let in, and keeps the id beside the key)")
    .option("--key <file>", "the agent's private key; without --machine-id it is created if there is none")
    .option("--join-token-file <file>", "file with the join token with which it asks (or set BMAAS_JOIN_TOKEN)")
    .option("--endpoint <url>", "the agents' listener, for example https://127.0.0.1:8443")
    .option("--ca <file>", "trust the CAs in this PEM file, for images too (default: those that Node trusts)")
    .option("--signed", "prove the key by HTTP message signatures instead of a client certificate")
    .addOption(installerOption())
    .option(
      "--install-command <command>",
      "shell command that installs instead: reads the request as JSON on stdin, prints progress lines",
    )
    .option("--verify", "with --installer image: read back and compare everything (default: a sample)")
    .option("--install-timeout <seconds>", "stop the installer after this time", parseSeconds, 3600)
    .option(
      "--after-install-command <command>",
      "shell command to run after a success has been reported (default: reboot after --installer image, but not with --disk-file)",
    )
    .option(
      "--health-command <command>",
      "shell command that finds problems of this machine: prints them as for bmaas machines health --put",
    )
    .option("--health-interval <seconds>", "time between two runs of that command", parseSeconds, 300)
    .option(
      "--disk-file <file>",
      "for trials: report this file, or loop device, as the machine's only disk, and install onto no other",
    )
    .option(
      "--state <file>",
      "file for the state that the agent keeps across restarts (default: the key file with .state.json)",
    )
    .option("--interval <seconds>", "time between heartbeats (default: as the server requests, else 30)", parseSeconds)
    .action(run);
  return addSettings(command, "agent")
    .addHelpText("after", formatExamples(...examples))
    .addCommand(keygenCommand())
    .addCommand(certificateCommand())
    .addCommand(signCommand());
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  // The longest time of a Node timer.
  if (!(seconds > 0 && seconds < 2 ** 31 / 1000))
    throw new InvalidArgumentError("Expected a number of seconds above 0.");
  return seconds;
}

async function run(flags: AgentFlags): Promise<void> {
  const { machineId: givenId, url } = checkOptionalId(flags, { url: flags.endpoint, flag: "--endpoint" });
  if (url.protocol !== "https:" && flags.signed !== true) {
    throw new ConfigError(["--endpoint: a client certificate needs an https URL (without TLS, add --signed)"]);
  }
  const kind = chooseInstaller(flags, { platform: process.platform, userId: process.getuid?.() });
  const { logLevel, joinToken } = loadConfig(undefined, { logLevel: flags.logLevel });
  const { key, warnings } = givenId === undefined ? await loadOrCreateKey(flags) : await loadKey(flags);
  const ca = flags.ca === undefined ? undefined : await readCa(flags.ca);
  // Loaded here, so that the subcommands for the key start without them.
  const [{ createLogger }, { logAgentEvent }, agent] = await Promise.all([
    import("../base/log.ts"),
    import("./agent-event-log.ts"),
    import("../agent/index.ts"),
  ]);
  const log = createLogger(logLevel, 1);
  for (const warning of warnings) log.warn(warning);
  const endpoint = url.href.replace(/\/$/, "");
  const stopping = new AbortController();
  onEndSignal(() => stopping.abort());
  const { signal } = stopping;
  const signing = { endpoint, key, fetch: agent.createNodeFetch({ ca }), clock: new agent.SigningClock() };
  const disks = await createDiskAccess(flags, agent);
  const intervalMs = flags.interval === undefined ? undefined : flags.interval * 1000;
  const machineId =
    givenId ??
    (await findMachineId(flags, joinToken, {
      ...{ agent, log, signal, intervalMs, publicKey: key.publicKeyHex, endpoint },
      client: flags.signed
        ? agent.createSigningEnrolmentClient(signing)
        : agent.createEnrolmentClient({ endpoint, key, ca }),
      collectHardware: disks.collectHardware,
    }));
  if (machineId === undefined) return;
  const client = flags.signed
    ? agent.createSigningAgentClient({ ...signing, machineId })
    : agent.createAgentClient({ endpoint, key, ca });
  const names = { machineId, publicKey: key.publicKeyHex, signed: flags.signed === true };
  const state = await openState(flags, agent, machineId);
  try {
    log.info(
      {
        ...{ machineId, publicKey: names.publicKey, endpoint },
        ...{ proof: flags.signed ? "signature" : "certificate", installer: kind },
      },
      "agent started",
    );
    if (kind === "pretend" && flags.installer === undefined) {
      log.warn("this agent only pretends to install: run it as root on Linux, or name --install-command");
    }
    await agent.runAgent({
      machineId,
      client,
      state,
      ...createInstaller(agent, kind, {
        ...{ flags, machineId, ca, log, findDisk: disks.findDisk },
        command: findAfterInstallCommand(flags, kind),
      }),
      ...createHealth(flags, agent, (line) => log.info({ line }, "health command")),
      ...disks,
      intervalMs,
      signal,
      onEvent: (event) => logAgentEvent(log, event, names),
    });
    log.info("agent stopped");
  } finally {
    state.close();
    endInSpiteOfHangingCommands();
  }
}

/** How long commands that were told to stop may keep the process, in milliseconds. */
const leavingMs = 1000;

/** Ends the process soon, even if a command that hangs in the kernel, such as the health command, does not end. */
function endInSpiteOfHangingCommands(): void {
  setTimeout(() => process.exit(), leavingMs).unref();
}

/**
 * Opens the state file. An agent that was let in as another machine than before, for example after its key was lost,
 * leaves the state of that machine as it is.
 */
async function openState(
  { state, key, machineId: givenId }: AgentFlags,
  agent: typeof import("../agent/index.ts"),
  machineId: string,
) {
  if (state !== undefined) return await agent.openInstallState(state, machineId);
  try {
    return await agent.openInstallState(`${key}.state.json`, machineId);
  } catch (error) {
    if (givenId !== undefined || !(error instanceof agent.OtherMachineStateError)) throw error;
    return await agent.openInstallState(`${key}.${machineId}.state.json`, machineId);
  }
}

function createHealth(
  { healthCommand, healthInterval }: AgentFlags,
  agent: typeof import("../agent/index.ts"),
  onLine: (line: string) => void,
) {
  if (healthCommand === undefined) return {};
  return {
    collectHealth: agent.createHealthCommand(healthCommand, { onLine }),
    healthIntervalMs: healthInterval * 1000,
  };
}

async function createDiskAccess({ diskFile }: AgentFlags, agent: typeof import("../agent/index.ts")) {
  if (diskFile === undefined) return { collectHardware: agent.collectHardwareReport, findDisk: agent.findExpectedDisk };
  await agent.readFileDisk(diskFile).catch((error: Error) => {
    throw new ConfigError([`--disk-file: ${error.message}`]);
  });
  return {
    collectHardware: agent.replaceDisks(agent.collectHardwareReport, diskFile),
    findDisk: agent.createFileDiskFinder(diskFile),
  };
}

async function readCa(file: string): Promise<Buffer> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    throw new ConfigError([`--ca: ${(error as Error).message}`]);
  }
  if (!content.includes("-----BEGIN CERTIFICATE-----"))
    throw new ConfigError([`--ca: ${file} holds no PEM certificate`]);
  return content;
}
