/** The life of an agent: it heartbeats, hands in its hardware once, installs what is requested, and reports until it is heard. */
import { createHash } from "node:crypto";
import { setTimeout as sleepFor } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type AgentCallback,
  type AgentHardwareReport,
  type HeartbeatRequestSchema,
  type OSInstallationReport,
  OSInstallationReportSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentEvent } from "./agent-event.ts";
import { backoff, jitter, type Random } from "./backoff.ts";
import type { InstallOutcome, InstallState } from "./install-state.ts";
import type { Installer } from "./installer.ts";

/** What an agent is made of. */
export interface AgentOptions {
  readonly machineId: string;
  readonly client: Client<typeof AgentCallback>;
  readonly state: InstallState;
  readonly install: Installer;
  /** Runs once a success is reported, to reboot for example; returns what went wrong, if something did. */
  readonly afterInstall?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
  /** Default: no hardware report. */
  readonly collectHardware?: (() => Promise<AgentHardwareReport>) | undefined;
  /** Time between heartbeats. Default: 30 s. */
  readonly intervalMs?: number | undefined;
  /** Deadline of a call. Default: 10 s. */
  readonly callTimeoutMs?: number | undefined;
  /** Longest time between tries. Default: 60 s. */
  readonly maxBackoffMs?: number | undefined;
  readonly onEvent?: ((event: AgentEvent) => void) | undefined;
  /** Ends the agent. */
  readonly signal: AbortSignal;
  readonly random?: Random | undefined;
  /** Waits, and rejects when the signal aborts. */
  readonly sleep?: ((durationMs: number, signal: AbortSignal) => Promise<unknown>) | undefined;
}

/** Runs an agent until its signal aborts. No error ends it: it tries again for ever. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { signal, sleep = (durationMs) => sleepFor(durationMs, undefined, { signal }) } = options;
  const agent = new Agent(options);
  while (!signal.aborted) {
    const pauseMs = await agent.heartbeat();
    try {
      if (pauseMs > 0 && !signal.aborted) await sleep(pauseMs, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

type HeartbeatFields = Exclude<MessageInitShape<typeof HeartbeatRequestSchema>, { $typeName: string }>;

class Agent {
  readonly #options: AgentOptions;
  readonly #emit: (event: AgentEvent) => void;
  readonly #random: Random;
  #hardware: Promise<AgentHardwareReport | undefined> | undefined;
  #isFirst = true;
  #failures = 0;
  #ignored: bigint | undefined;
  #refused: bigint | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#emit = options.onEvent ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#hardware = options.collectHardware && this.#collect(options.collectHardware);
  }

  async #collect(collectHardware: () => Promise<AgentHardwareReport>): Promise<AgentHardwareReport | undefined> {
    try {
      const report = await collectHardware();
      this.#emit({ type: "hardware-collected", warnings: report.warning });
      return report;
    } catch (error) {
      this.#emit({ type: "hardware-collected", warnings: [String(error)] });
      return undefined;
    }
  }

  /** Sends one heartbeat and does what its answer asks for; returns how long to wait before the next one, in milliseconds. */
  async heartbeat(): Promise<number> {
    const { client, machineId, state, signal, callTimeoutMs = 10_000 } = this.#options;
    const outcome = state.pendingOutcome;
    // The first heartbeat tells the server that the agent lives, without waiting for the hardware to be found out.
    const hardwareReport = this.#isFirst ? undefined : await this.#hardware;
    const fields: HeartbeatFields = { machineId };
    if (hardwareReport !== undefined) fields.hardwareReport = hardwareReport;
    if (outcome !== undefined) fields.installationReport = createReport(outcome);
    let request: OSInstallationRequest | undefined;
    try {
      request = (await client.heartbeat(fields, { signal, timeoutMs: callTimeoutMs })).installationRequest;
    } catch (error) {
      if (signal.aborted) return 0;
      return await this.#handleFailure(ConnectError.from(error), outcome, hardwareReport !== undefined);
    }
    this.#noteSuccess(hardwareReport !== undefined);
    this.#emit({ type: "heartbeat", hardwareReport: hardwareReport !== undefined, outcome });
    if (outcome !== undefined && (await this.#finishReport(outcome))) return this.#pause();
    if (request !== undefined) return await this.#consider(request);
    // Should the server ask for it yet, it will take the report as well.
    this.#refused = undefined;
    return this.#pause();
  }

  #pause(): number {
    return jitter(this.#options.intervalMs ?? 30_000, this.#random);
  }

  #noteSuccess(hardwareReported: boolean): void {
    this.#isFirst = false;
    this.#failures = 0;
    if (hardwareReported) this.#hardware = undefined;
  }

  async #handleFailure(error: ConnectError, outcome: InstallOutcome | undefined, hardware: boolean): Promise<number> {
    if (error.code === Code.FailedPrecondition && outcome !== undefined) {
      // The rest of the heartbeat counts.
      this.#noteSuccess(hardware);
      this.#refused = outcome.generation;
      await this.#save(() => this.#options.state.recordReported());
      this.#emit({ type: "report-refused", outcome, error });
      return this.#pause();
    }
    if (error.code === Code.InvalidArgument && hardware) {
      this.#hardware = undefined;
      this.#emit({ type: "hardware-refused", error });
    }
    this.#failures += 1;
    const { maxBackoffMs = 60_000 } = this.#options;
    const retryInMs = backoff(this.#failures, maxBackoffMs, readRetryAfterMs(error, maxBackoffMs), this.#random);
    this.#emit({ type: "heartbeat-failed", error, failures: this.#failures, retryInMs });
    return retryInMs;
  }

  /** Returns whether the machine has been told to do something else now, so that no installation may begin. */
  async #finishReport(outcome: InstallOutcome): Promise<boolean> {
    const { afterInstall, signal, state } = this.#options;
    await this.#save(() => state.recordReported());
    this.#emit({ type: "report-accepted", outcome });
    if (outcome.error !== undefined || afterInstall === undefined) return false;
    this.#emit({ type: "after-install", error: await capture(() => afterInstall(signal)) });
    return true;
  }

  async #consider(request: OSInstallationRequest): Promise<number> {
    const { state } = this.#options;
    const { generation } = request;
    if (state.lastAttempted === undefined || generation > state.lastAttempted) return await this.#install(request);
    if (this.#ignored !== generation) {
      this.#ignored = generation;
      this.#emit({ type: "request-ignored", generation, lastAttempted: state.lastAttempted });
    }
    // The server may have lost what it was told, with its database for example.
    if (generation === state.lastAttempted && generation !== this.#refused) {
      await this.#save(() => state.reportAgain(digest(request)));
    }
    return this.#pause();
  }

  async #install(request: OSInstallationRequest): Promise<number> {
    const { install, signal, state } = this.#options;
    const { generation } = request;
    if (!(await this.#save(() => state.recordAttempt(generation, digest(request))))) return this.#pause();
    this.#emit({ type: "installation-started", request });
    const error = await capture(() => install(request, signal));
    await this.#save(() => state.recordOutcome(error));
    this.#emit({ type: "installation-finished", outcome: { generation, error } });
    return 0;
  }

  async #save(write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      this.#emit({ type: "state-failed", error: error instanceof Error ? error : new Error(String(error)) });
      return false;
    }
  }
}

function createReport({ generation, error }: InstallOutcome): OSInstallationReport {
  return create(OSInstallationReportSchema, {
    generation,
    result: error === undefined ? { case: "success", value: {} } : { case: "error", value: { error } },
  });
}

/** The same for the same request, over restarts. */
function digest(request: OSInstallationRequest): string {
  return createHash("sha256").update(toBinary(OSInstallationRequestSchema, request)).digest("hex");
}

async function capture(run: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Reads Retry-After (RFC 9110 section 10.2.3), in milliseconds; 0 when the server did not name a time. */
function readRetryAfterMs(error: ConnectError, maxMs: number): number {
  const seconds = error.metadata.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(seconds) ? Math.min(maxMs, Number(seconds) * 1000) : 0;
}
