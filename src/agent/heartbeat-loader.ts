/** Decides what each heartbeat carries, and leaves out parts that make heartbeats fail. */
import { Code, type ConnectError } from "@connectrpc/connect";
import type { AgentHardwareReport, AgentHealthReport } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentEvent } from "./agent-event.ts";
import type { AgentOptions } from "./agent-options.ts";
import { type CollectHardware, HardwareFeed } from "./hardware-feed.ts";
import { HealthFeed } from "./health-feed.ts";
import type { HeartbeatLoad } from "./heartbeat-fields.ts";
import type { InstallationRun } from "./installation-run.ts";
import { createLeftOut, toSoundReport } from "./sound-report.ts";
import { type Culprit, type SparePart, Suspicion } from "./suspicion.ts";

/** Creates the loads of one agent's heartbeats. */
export class HeartbeatLoader {
  readonly #options: AgentOptions;
  readonly #emit: (event: AgentEvent) => void;
  readonly #hardware: HardwareFeed | undefined;
  readonly #health: HealthFeed;
  readonly #suspicion = new Suspicion();
  #isFirst = true;
  /** Report that is sent instead of a hardware report that makes heartbeats fail. */
  #substitute: AgentHardwareReport | undefined;
  /** The generation whose progress is not reported. */
  #untold: bigint | undefined;
  #hasLabels = true;
  /** The last reports of hardware and health, and the last generation with progress, that heartbeats carried. */
  #lastHardware: AgentHardwareReport | undefined;
  #lastHealth: AgentHealthReport | undefined;
  #lastProgress: bigint | undefined;

  constructor(options: AgentOptions, emit: (event: AgentEvent) => void) {
    this.#options = options;
    this.#emit = emit;
    this.#hardware = options.collectHardware && this.#createFeed(options.collectHardware);
    const { collectHealth: collect, healthIntervalMs: intervalMs = 5 * 60 * 1000, signal } = options;
    const { nowMs = () => performance.now() } = options;
    const onCollected = (found: { alerts: number; error?: Error }) => emit({ type: "health-collected", ...found });
    this.#health = new HealthFeed({ collect, intervalMs, nowMs, onCollected, signal });
  }

  #createFeed(collectHardware: CollectHardware): HardwareFeed {
    const { hardwareIntervalMs = 60 * 60 * 1000, nowMs = () => performance.now(), signal } = this.#options;
    const collect: CollectHardware = async (options) => toSoundReport(await collectHardware(options));
    const onCollected = (warnings: readonly string[]) => this.#emit({ type: "hardware-collected", warnings });
    return new HardwareFeed({ collect, intervalMs: hardwareIntervalMs, nowMs, onCollected, signal });
  }

  /** The health that heartbeats carry. */
  get health(): HealthFeed {
    return this.#health;
  }

  /** Creates the next heartbeat's load. `findRun` returns the running installation. */
  async next(findRun: () => InstallationRun | undefined): Promise<HeartbeatLoad> {
    const mayCarry = (part: Parameters<Suspicion["allows"]>[0]) => this.#suspicion.allows(part);
    // The first heartbeat shows the server that the agent runs, without waiting for the hardware.
    const hardwareReport = mayCarry("hardware") && !this.#isFirst ? await this.#findHardware() : undefined;
    const run = findRun();
    // During an installation, nothing else accesses the disks.
    if (run === undefined) {
      this.#hardware?.refresh();
      this.#health.refresh();
    }
    const load = {
      installing: run?.generation,
      hardwareReport,
      health: mayCarry("health") ? this.#health.next() : undefined,
      // An outcome is stored on disk before it is reported.
      outcome: run === undefined && mayCarry("outcome") ? this.#options.state.pendingOutcome : undefined,
      progress: mayCarry("progress") ? this.#takeProgress(run) : undefined,
      labels: mayCarry("labels") && this.#hasLabels ? this.#options : {},
    };
    this.#lastHardware = load.hardwareReport ?? this.#lastHardware;
    this.#lastHealth = load.health ?? this.#lastHealth;
    this.#lastProgress = load.progress?.generation ?? this.#lastProgress;
    return load;
  }

  async #findHardware(): Promise<AgentHardwareReport | undefined> {
    return this.#substitute ?? (await this.#hardware?.next());
  }

  #takeProgress(run: InstallationRun | undefined): HeartbeatLoad["progress"] {
    return run === undefined || run.generation === this.#untold
      ? undefined
      : { generation: run.generation, ...run.takeProgress() };
  }

  /** Records that the server accepted a load. */
  noteSuccess({ hardwareReport, health }: HeartbeatLoad): void {
    this.#isFirst = false;
    if (hardwareReport !== undefined) this.#settle(hardwareReport);
    if (health !== undefined) this.#health.settle(health);
    const culprit = this.#suspicion.noteSuccess();
    if (culprit !== undefined) this.#leaveOut(culprit);
  }

  /** Records that a heartbeat failed. With `invalid_argument`, the server names the field that it refuses. */
  noteFailure(load: HeartbeatLoad, error: ConnectError): void {
    const refused = error.code === Code.InvalidArgument ? findRefused(load, error) : undefined;
    if (refused !== undefined) this.#leaveOut({ part: refused, error });
    else this.#suspicion.noteFailure(error, { parts: listParts(load), outcome: load.outcome !== undefined });
  }

  #settle(report: AgentHardwareReport): void {
    if (report === this.#substitute) this.#substitute = undefined;
    else this.#hardware?.settle(report);
  }

  #leaveOut({ part, error }: Culprit): void {
    const [report, health, generation] = [this.#lastHardware, this.#lastHealth, this.#lastProgress];
    if (part === "hardware" && report !== undefined) this.#leaveHardwareOut(report, error);
    if (part === "health" && health !== undefined) {
      this.#health.settle(health);
      this.#emit({ type: "health-refused", error });
    }
    if (part === "progress" && generation !== undefined) {
      this.#untold = generation;
      this.#emit({ type: "progress-refused", generation, error });
    }
    if (part === "labels") {
      this.#hasLabels = false;
      this.#emit({ type: "labels-refused", error });
    }
  }

  #leaveHardwareOut(report: AgentHardwareReport, error: ConnectError): void {
    const isSubstitute = report === this.#substitute;
    this.#settle(report);
    if (isSubstitute) return;
    this.#substitute = createLeftOut(`heartbeats with the hardware report fail: ${error.message}`);
    this.#emit({ type: "hardware-refused", error });
  }
}

function findRefused({ hardwareReport, health, progress }: HeartbeatLoad, error: ConnectError): SparePart | undefined {
  if (health !== undefined && error.rawMessage.startsWith("health.")) return "health";
  const namesProgress = error.rawMessage.includes("installation_progress");
  if (progress !== undefined && (namesProgress || hardwareReport === undefined)) return "progress";
  return hardwareReport === undefined ? undefined : "hardware";
}

function listParts({ hardwareReport, health, progress, labels }: HeartbeatLoad): SparePart[] {
  const carried: Record<SparePart, boolean> = {
    hardware: hardwareReport !== undefined,
    health: health !== undefined,
    progress: progress !== undefined,
    labels: labels.version !== undefined || labels.bootId !== undefined,
  };
  return (Object.keys(carried) as SparePart[]).filter((part) => carried[part]);
}
