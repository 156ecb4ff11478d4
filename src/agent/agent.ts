/** Sends an agent's heartbeats and reacts to the answers. At most one installation runs at a time. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { OSInstallationRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { unknownRequestError } from "../contract/unknown-request.ts";
import { AfterInstall } from "./after-install.ts";
import type { AgentEvent } from "./agent-event.ts";
import type { AgentOptions } from "./agent-options.ts";
import { backoff, jitter, type Random } from "./backoff.ts";
import { createHangingAlert, explainRefusal, type MayStillRun } from "./hanging.ts";
import { findExpectedDisk } from "./hardware/find-disk.ts";
import { createFields, type HeartbeatLoad } from "./heartbeat-fields.ts";
import { HeartbeatLoader } from "./heartbeat-loader.ts";
import type { InstallProgress } from "./install-progress.ts";
import type { InstallOutcome } from "./install-state.ts";
import { digestRequest } from "./installation-messages.ts";
import { InstallationRun } from "./installation-run.ts";
import { readRetryAfterMs, readWantedPause } from "./wanted-pause.ts";

/** The wait before the next heartbeat. */
export interface Pause {
  readonly durationMs: number;
  /** Whether the heartbeat failed. Then nothing shortens the wait. */
  readonly isBackoff: boolean;
}

/** An agent between two heartbeats. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #emit: (event: AgentEvent) => void;
  readonly #random: Random;
  readonly #intervalMs: number;
  /** The pause that the server requested in its last answer. */
  #wantedMs: number | undefined;
  readonly #loader: HeartbeatLoader;
  readonly #afterInstall: AfterInstall;
  #failures = 0;
  /** The generation last announced as ignored or deferred, and the generation whose report was refused. */
  #passedOver: bigint | undefined;
  #refused: bigint | undefined;
  #run: InstallationRun | undefined;
  #installing: Promise<void> | undefined;
  /** The run whose installer was given up and has not ended. */
  #hanging: InstallationRun | undefined;
  /** The generation of the last installer that was given up and has ended. */
  #left: bigint | undefined;
  #hasNewOutcome = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#emit = options.onEvent ?? (() => {});
    this.#random = options.random ?? Math.random;
    this.#intervalMs = options.intervalMs ?? 30_000;
    this.#loader = new HeartbeatLoader(options, this.#emit);
    this.#afterInstall = new AfterInstall({ options, emit: this.#emit, save: (write) => this.#save(write) });
  }

  /** Resolves when the running installation has ended and its outcome is stored; undefined if none is running. */
  get installing(): Promise<void> | undefined {
    return this.#installing;
  }

  /** Resolves when an installer that was given up has ended; undefined if there is none. */
  get hanging(): Promise<void> | undefined {
    return this.#hanging?.left;
  }

  /** Whether an installation has ended since the last heartbeat was created. */
  get hasNewOutcome(): boolean {
    return this.#hasNewOutcome;
  }

  /** Whether an installation has progress that no heartbeat has reported yet. */
  get hasNewProgress(): boolean {
    return this.#run?.hasNews ?? false;
  }

  /** Runs what an earlier process has left to do after a reported success. Call it before the first heartbeat. */
  async resume(): Promise<void> {
    const { bootId, state } = this.#options;
    // An earlier process may have reported it.
    if (state.hanging !== undefined && state.hanging.bootId !== bootId) this.#loader.health.endEarlier();
    await this.#afterInstall.resume();
  }

  /** Waits a little for what follows a reported success. Call it after the last heartbeat. */
  async stop(): Promise<void> {
    await this.#afterInstall.stop();
  }

  /** Sends one heartbeat, and carries out or begins what its answer requests. */
  async heartbeat(): Promise<Pause> {
    const { client, machineId, signal, callTimeoutMs = 10_000 } = this.#options;
    const hanging = this.#findHanging();
    this.#loader.health.setOwn(hanging === undefined ? [] : [createHangingAlert(hanging)]);
    const load = await this.#loader.next(() => this.#run);
    this.#hasNewOutcome = false;
    let request: OSInstallationRequest | undefined;
    try {
      const fields = createFields(machineId, load, Math.max(this.#intervalMs, this.#wantedMs ?? 0));
      const answer = await client.heartbeat(fields, { signal, timeoutMs: callTimeoutMs });
      request = answer.installationRequest;
      this.#wantedMs = this.#options.intervalMs === undefined ? readWantedPause(answer.nextHeartbeatAfter) : undefined;
    } catch (error) {
      return signal.aborted ? this.#pause(0) : await this.#handleFailure(ConnectError.from(error), load);
    }
    this.#noteSuccess(load);
    const { hardwareReport, outcome, progress } = load;
    this.#emit({
      type: "heartbeat",
      hardwareReport: hardwareReport !== undefined,
      outcome,
      installing: progress?.generation,
    });
    if (outcome !== undefined && (await this.#finishReport(outcome))) {
      // The alert about it follows at once.
      return this.#afterInstall.hanging === undefined ? this.#pause() : this.#pause(0);
    }
    if (request !== undefined) return await this.#consider(request, load);
    // If the server requests it later after all, it will accept the report as well.
    this.#refused = undefined;
    return this.#pause();
  }

  /** Creates a pause. A pause that the server requests needs no jitter, since the server spreads its agents. */
  #pause(durationMs = this.#wantedMs ?? jitter(this.#intervalMs, this.#random)): Pause {
    return { durationMs, isBackoff: false };
  }

  #noteSuccess(load: HeartbeatLoad): void {
    this.#failures = 0;
    this.#loader.noteSuccess(load);
  }

  async #handleFailure(error: ConnectError, load: HeartbeatLoad): Promise<Pause> {
    const { outcome } = load;
    if (error.code === Code.FailedPrecondition && outcome !== undefined) {
      // The rest of the heartbeat counts.
      this.#noteSuccess(load);
      this.#refused = outcome.generation;
      await this.#save(() => this.#options.state.recordRefused());
      this.#emit({ type: "report-refused", outcome, error });
      return this.#pause();
    }
    this.#loader.noteFailure(load, error);
    this.#failures += 1;
    const { maxBackoffMs = 60_000 } = this.#options;
    const durationMs = backoff(this.#failures, maxBackoffMs, readRetryAfterMs(error, maxBackoffMs), this.#random);
    this.#emit({ type: "heartbeat-failed", error, failures: this.#failures, retryInMs: durationMs });
    return { durationMs, isBackoff: true };
  }

  /** Returns whether what follows a success has run, so that no installation may begin now. */
  async #finishReport(outcome: InstallOutcome): Promise<boolean> {
    const { afterInstall, state } = this.#options;
    await this.#save(() => state.recordAccepted());
    this.#emit({ type: "report-accepted", outcome });
    const isDue = state.afterInstall !== undefined && afterInstall !== undefined;
    await this.#afterInstall.run();
    return isDue;
  }

  /**
   * Decides what to do about a request. `installing` was running when the heartbeat was sent. It may have ended since,
   * and its outcome is reported before another installation begins.
   */
  async #consider(request: OSInstallationRequest, { installing, outcome }: HeartbeatLoad): Promise<Pause> {
    const { state } = this.#options;
    const { generation } = request;
    const { lastAttempted } = state;
    if (generation === installing) return this.#pause();
    // An unreported outcome must be reported before another installation.
    if (installing === undefined && outcome === undefined && state.pendingOutcome !== undefined) return this.#pause();
    if (lastAttempted === undefined || (installing === undefined && generation > lastAttempted)) {
      return await this.#install(request);
    }
    if (this.#passedOver !== generation) {
      this.#passedOver = generation;
      if (installing === undefined || generation < installing) {
        this.#emit({ type: "request-ignored", generation, lastAttempted });
      } else this.#emit({ type: "request-deferred", generation, installing });
    }
    // The server may have lost the report, for example with its database.
    if (installing === undefined && generation === lastAttempted && generation !== this.#refused) {
      await this.#save(() => state.reportAgain(digestRequest(request)));
    }
    return this.#pause();
  }

  /** Begins an installation after the attempt is stored on disk. The next heartbeat follows at once and reports it. */
  async #install(request: OSInstallationRequest): Promise<Pause> {
    const { install, installsInProcess, findDisk = findExpectedDisk, installLimitMs: limitMs } = this.#options;
    const { bootId, signal, state } = this.#options;
    const { generation } = request;
    if (!isKnown(request)) return await this.#refuse(request, "request-unknown", unknownRequestError);
    const hanging = this.#findHanging();
    if (hanging !== undefined) return await this.#refuse(request, "request-refused", explainRefusal(hanging));
    const digest = digestRequest(request);
    const mayOutliveIn = installsInProcess ? undefined : bootId;
    if (!(await this.#save(() => state.recordAttempt(generation, digest, mayOutliveIn)))) return this.#pause();
    this.#emit({ type: "installation-started", request });
    const onProgress = (progress: InstallProgress) =>
      this.#emit({ type: "installation-progress", generation, progress });
    const run = new InstallationRun(request, install, { signal, findDisk, onProgress, limitMs });
    this.#run = run;
    this.#installing = this.#awaitOutcome(run);
    return this.#pause(0);
  }

  /**
   * Returns what was begun before and may still do something, so that nothing may be installed. What an earlier process
   * of the same boot did not see to end is such: a killed agent does not take along what waits in the kernel.
   */
  #findHanging(): MayStillRun | undefined {
    if (this.#run !== undefined) return undefined;
    if (this.#hanging !== undefined) return { generation: this.#hanging.generation, what: "installer" };
    const { hanging: generation } = this.#afterInstall;
    if (generation !== undefined) return { generation, what: "after-install" };
    const { bootId, state } = this.#options;
    const { hanging } = state;
    if (hanging === undefined || hanging.bootId !== bootId || hanging.generation === this.#left) return undefined;
    return { generation: hanging.generation, what: "earlier" };
  }

  /** Records that a request fails without being run. The next heartbeat follows at once and reports it. */
  async #refuse(
    request: OSInstallationRequest,
    type: "request-unknown" | "request-refused",
    error: string,
  ): Promise<Pause> {
    const outcome = { generation: request.generation, error };
    const { state } = this.#options;
    if (!(await this.#save(() => state.recordRefusal(outcome.generation, digestRequest(request), error)))) {
      return this.#pause();
    }
    this.#emit({ type, outcome });
    return this.#pause(0);
  }

  async #awaitOutcome(run: InstallationRun): Promise<void> {
    const { generation } = run;
    const { state } = this.#options;
    const error = await run.ended;
    const isHanging = !run.isLeft;
    if (isHanging) void this.#awaitLeaving(run);
    await this.#save(() => state.recordOutcome(error, { isHanging }));
    this.#run = undefined;
    this.#installing = undefined;
    this.#hasNewOutcome = true;
    this.#emit({ type: "installation-finished", outcome: { generation, error } });
  }

  async #awaitLeaving(run: InstallationRun): Promise<void> {
    this.#hanging = run;
    await run.left;
    this.#hanging = undefined;
    this.#left = run.generation;
    this.#emit({ type: "installer-left", generation: run.generation });
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

/**
 * Returns whether the agent knows the request. A type that only newer agents know is not set, and generations begin at
 * 1.
 */
function isKnown({ generation, type }: OSInstallationRequest): boolean {
  return generation >= 1n && type.case !== undefined;
}
