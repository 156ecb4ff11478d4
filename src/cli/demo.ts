/** `bmaas demo`: shows a server, a machine, an agent, and one installation from request to report, step by step. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { pino } from "pino";
import type { AgentEvent } from "../agent/agent-event.ts";
import type { AgentKey } from "../agent/agent-key.ts";
import { printable } from "../base/printable.ts";
import type { Service } from "../service/service.ts";
import { onEndSignal } from "./end-signal.ts";
import { formatExamples } from "./examples.ts";
import { changeEvenUnheard } from "./lost-output.ts";
import { cutTo, padTo } from "./text-width.ts";

/** Creates the command `bmaas demo`. */
export function demoCommand(): Command {
  return new Command("demo")
    .addHelpText("after", formatExamples("bmaas demo"))
    .action(async () => await changeEvenUnheard(runInNewHome));
}

/** Runs the demonstration in a folder of its own, and leaves nothing behind, even if nobody reads its output. */
async function runInNewHome(): Promise<void> {
  const signal = abortOnSignal();
  const home = await realpath(await mkdtemp(join(tmpdir(), "bmaas-demo-")));
  try {
    await runDemo(home, signal);
  } finally {
    const { removeEmbeddedPostgres } = await import("../db/embedded/instance.ts");
    await removeEmbeddedPostgres(home);
    await rm(home, { recursive: true, force: true });
  }
}

/**
 * Returns an AbortSignal that aborts on the first SIGINT, SIGTERM or SIGHUP, or when standard output fails. A second
 * signal ends the process at once.
 */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  process.stdout.once("error", (error) => controller.abort(error));
  onEndSignal((name) => controller.abort(new Error(`stopped by ${name}`)));
  return controller.signal;
}

const log = pino({ level: "silent" });
const image = { url: "https://images.example/debian-13.img", digest: `sha256:${"ab".repeat(32)}` };
/** Size of the file that stands for the machine's disk. It takes no room, since nothing is written. */
const diskBytes = 64 * 2 ** 30;

async function runDemo(home: string, signal: AbortSignal): Promise<void> {
  const { startService } = await import("../service/service.ts");
  const { loadConfig } = await import("../config/config.ts");
  const { generateAgentKey } = await import("../agent/agent-key.ts");
  const tell = createTeller();
  tell("server", "starts with its own PostgreSQL and development CA");
  const listen = { BMAAS_AGENT_LISTEN: "127.0.0.1:0", BMAAS_ADMIN_LISTEN: "127.0.0.1:0", BMAAS_SHUTDOWN_DELAY: "0" };
  const service = await startService(loadConfig({ BMAAS_HOME: home, ...listen }), log);
  try {
    signal.throwIfAborted();
    tell("server", `serves agents at ${service.agentUrl}`);
    const machineId = randomUUID();
    const key = await generateAgentKey();
    await seed(home, {
      id: machineId,
      provided: { provider: "demo", providerId: "1" },
      agent: { publicKey: key.publicKeyHex },
    });
    tell("operator", `seeds machine ${machineId} with its agent's key ${key.publicKeyHex.slice(0, 16)}…`);
    const requestInstallation = async () => {
      await seed(home, { id: machineId, install: { image, disk: { only: true } } });
      tell("operator", `requests an installation of ${image.url} on the machine's only disk`);
    };
    await runOneInstallation({ home, service, machineId, key, requestInstallation, tell, signal });
    await tellHistory(home, machineId, tell);
  } finally {
    await service.close();
  }
  tell("server", "drains and stops");
}

type Tell = (who: string, what: string) => void;

function createTeller(): Tell {
  const startedAt = performance.now();
  return (who, what) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
    process.stdout.write(`${seconds} s  ${who.padEnd(9)} ${what}\n`);
  };
}

/** Seeds one machine by a file, as `bmaas seed` does. */
async function seed(home: string, machine: Record<string, unknown>): Promise<void> {
  const { runSeed } = await import("../seed/run-seed.ts");
  const file = join(home, "fleet.json");
  await writeFile(file, JSON.stringify({ machines: [machine] }));
  const { toInstallationLimits } = await import("../db/queries/os-installation-request.ts");
  const { loadConfig } = await import("../config/config.ts");
  const installations = toInstallationLimits(loadConfig({}));
  await using _seeded = await runSeed(file, process.stdin, {
    home,
    log,
    actor: "seed:demo",
    dryRun: false,
    installations,
    supersedeGiven: false,
  });
}

interface Stage {
  readonly home: string;
  readonly service: Service;
  readonly machineId: string;
  readonly key: AgentKey;
  readonly requestInstallation: () => Promise<void>;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** Runs the agent until the server has accepted its report. Throws if the installation fails. */
async function runOneInstallation(stage: Stage): Promise<void> {
  const { home, service, machineId, key, requestInstallation, tell, signal } = stage;
  const agent = await import("../agent/index.ts");
  const state = await agent.openInstallState(join(home, "agent.state.json"), machineId);
  const diskFile = join(home, "disk.img");
  await writeFile(diskFile, "");
  await truncate(diskFile, diskBytes);
  const ca = service.caFile && (await readFile(service.caFile));
  const ended = new AbortController();
  let failure: string | undefined;
  let heartbeats = 0;
  const onEvent = (event: AgentEvent) => {
    const line = describe(event);
    if (line !== undefined) tell("agent", line);
    if (event.type === "heartbeat" && heartbeats++ === 0) tell("agent", "heartbeats for the first time");
    if (event.type === "heartbeat" && event.hardwareReport) {
      requestInstallation().catch((error: unknown) => {
        failure = String(error);
        ended.abort();
      });
    }
    if (event.type === "report-accepted" || event.type === "report-refused") {
      failure = event.type === "report-refused" ? event.error.message : event.outcome.error;
      ended.abort();
    }
  };
  try {
    await agent.runAgent({
      machineId,
      state,
      onEvent,
      client: agent.createAgentClient({ endpoint: service.agentUrl, key, ca }),
      install: agent.createPretendingInstaller({}),
      collectHardware: agent.replaceDisks(agent.collectHardwareReport, diskFile),
      findDisk: agent.createFileDiskFinder(diskFile),
      intervalMs: 300,
      signal: AbortSignal.any([signal, ended.signal, AbortSignal.timeout(60_000)]),
    });
  } finally {
    state.close();
  }
  signal.throwIfAborted();
  if (!ended.signal.aborted) throw new Error("the installation was not reported within a minute");
  if (failure !== undefined) throw new Error(`the installation failed: ${failure}`);
}

function describe(event: AgentEvent): string | undefined {
  switch (event.type) {
    case "heartbeat":
      if (event.outcome !== undefined) return undefined;
      return event.hardwareReport ? "heartbeats again and reports its hardware" : undefined;
    case "hardware-collected":
      return "detects its hardware";
    case "installation-started":
      return `receives generation ${event.request.generation} and installs (this one only pretends)`;
    case "installation-progress":
      return `is at ${event.progress.percent} %: ${event.progress.phase}`;
    case "installation-finished":
      return event.outcome.error === undefined ? "finishes and reports success" : `reports: ${event.outcome.error}`;
    case "report-accepted":
      return `learns that the report of generation ${event.outcome.generation} is stored; a real agent reboots now`;
    case "heartbeat-failed":
      return `cannot heartbeat: ${event.error.message}`;
    default:
      return undefined;
  }
}

async function tellHistory(home: string, machineId: string, tell: Tell): Promise<void> {
  const { findEmbeddedUrl } = await import("../db/embedded/connection-files.ts");
  const { connectDatabase } = await import("../db/client.ts");
  const { listHistory } = await import("../db/queries/machine-history.ts");
  const { db, close } = connectDatabase((await findEmbeddedUrl(home)) ?? "", { maxConnections: 1 });
  try {
    tell("operator", "reads the machine's history:");
    for (const { at, actor, kind, detail } of await listHistory(db, machineId)) {
      const generation = detail.generation === undefined ? "" : ` ${detail.generation}`;
      tell("", `  ${at.toISOString()}  ${padTo(cutTo(printable(actor), 22), 22)}  ${kind}${generation}`);
    }
  } finally {
    await close();
  }
}
