/**
 * Runs what follows a reported success, for example a reboot, and again where a crash may have cut it short. It runs
 * once at a time, and the agent does not wait for one that does not end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentEvent } from "./agent-event.ts";
import type { AgentOptions } from "./agent-options.ts";
import { capture } from "./installation-run.ts";

/** How often the same boot of a machine starts it: a command that ends its own agent is not run for ever. */
const maxStarts = 2;

/** Default of the agent's option `afterInstallLimitMs`. */
const defaultLimitMs = 60_000;

/** Longest wait for its end once the agent was told to stop, in milliseconds: a command may be killed meanwhile. */
const stoppingMs = 10_000;

/** Dependencies of `AfterInstall`. */
export interface AfterInstallContext {
  readonly options: Pick<AgentOptions, "afterInstall" | "afterInstallLimitMs" | "bootId" | "signal" | "state">;
  readonly emit: (event: AgentEvent) => void;
  /** Writes to the state file, and emits the failure if that fails. */
  readonly save: (write: () => Promise<void>) => Promise<unknown>;
}

/**
 * Runs `afterInstall` once for each reported success. The state file says whether it is due, was started, hangs or is
 * over, so that neither a crash nor a restart of the agent loses it.
 */
export class AfterInstall {
  readonly #context: AfterInstallContext;
  /** Resolves when what was started has ended and that is recorded; undefined if nothing runs. */
  #underWay: Promise<void> | undefined;
  /** Whether it has not ended, recorded or not. */
  #isRunning = false;
  #hanging: bigint | undefined;
  /** Whether the agent has ended without waiting for it any longer. */
  #isLeft = false;

  constructor(context: AfterInstallContext) {
    this.#context = context;
  }

  /** The generation whose `afterInstall` has not ended in its time, and still runs. */
  get hanging(): bigint | undefined {
    return this.#hanging;
  }

  /**
   * Runs what an earlier process has left due. What was started and never seen to end runs once more in the same boot,
   * unless it hung. In another boot it does not: a reboot, which most commands ask for, must not follow itself.
   */
  async resume(): Promise<void> {
    const { options, emit, save } = this.#context;
    const { afterInstall, hanging } = options.state;
    if (afterInstall === undefined) return;
    const { starts, bootId } = afterInstall;
    const isSameBoot = bootId !== undefined && bootId === options.bootId;
    // It stays due, so that the next process of this boot knows as well.
    if (isSameBoot && hanging !== undefined) return emit({ type: "after-install-skipped", reason: "hanging" });
    if (starts === 0 || (isSameBoot && starts < maxStarts)) return await this.run();
    await save(() => options.state.recordAfterInstallEnd());
    emit({ type: "after-install-skipped", reason: isSameBoot ? "interrupted" : "rebooted" });
  }

  /** Runs it now if it is due. Resolves when it has ended, or goes on by itself after `afterInstallLimitMs`. */
  async run(): Promise<void> {
    const { options, emit, save } = this.#context;
    const { afterInstall, afterInstallLimitMs: limitMs = defaultLimitMs, bootId, signal, state } = options;
    const generation = state.lastAttempted;
    if (this.#underWay !== undefined || generation === undefined || !this.#isDue()) return;
    if (afterInstall === undefined) return void (await save(() => state.recordAfterInstallEnd()));
    await save(() => state.recordAfterInstallStart(bootId));
    this.#underWay = this.#follow(afterInstall);
    await this.#waitForEnd(limitMs, signal);
    if (!this.#isRunning) return await this.#underWay;
    if (signal.aborted) return;
    this.#hanging = generation;
    emit({ type: "after-install-hangs", generation, limitMs });
    await this.#recordHang();
  }

  /**
   * Waits for the end of what runs, once the agent was told to stop, but not for ever. What has not ended then is not
   * started again in this boot.
   */
  async stop(): Promise<void> {
    const { options, emit } = this.#context;
    if (this.#underWay === undefined) return;
    await this.#waitForEnd(Math.min(stoppingMs, options.afterInstallLimitMs ?? defaultLimitMs));
    if (!this.#isRunning) return await this.#underWay;
    this.#isLeft = true;
    await this.#recordHang();
    emit({ type: "after-install-stopped" });
  }

  /** Whether it is to be started, and was not left running by an earlier process of this boot. */
  #isDue(): boolean {
    const { bootId, signal, state } = this.#context.options;
    const isLeft = state.hanging !== undefined && state.hanging.bootId === bootId;
    return state.afterInstall !== undefined && !isLeft && !signal.aborted;
  }

  async #follow(afterInstall: NonNullable<AgentOptions["afterInstall"]>): Promise<void> {
    const { options, emit, save } = this.#context;
    const { signal, state } = options;
    this.#isRunning = true;
    const error = await capture(() => afterInstall(signal));
    this.#isRunning = false;
    if (this.#isLeft) return;
    // It may have asked for the reboot that stops this agent, so the next process decides.
    const isStopped = signal.aborted && error !== undefined;
    if (!isStopped) await save(() => state.recordAfterInstallEnd());
    else if (this.#hanging !== undefined) await save(() => state.recordAfterInstallHang(undefined));
    this.#hanging = undefined;
    this.#underWay = undefined;
    emit(isStopped ? { type: "after-install-stopped" } : { type: "after-install", error });
  }

  async #recordHang(): Promise<void> {
    const { options, save } = this.#context;
    const { bootId, state } = options;
    const generation = this.#hanging ?? state.lastAttempted;
    if (bootId === undefined || generation === undefined) return;
    await save(() => state.recordAfterInstallHang({ generation, bootId }));
  }

  /** Waits until nothing runs, the time is over, or the signal aborts. */
  async #waitForEnd(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const until = AbortSignal.any(signal === undefined ? [ended.signal] : [ended.signal, signal]);
    const timeIsOver = sleep(timeoutMs, undefined, { signal: until }).catch(() => {});
    await Promise.race([this.#underWay, timeIsOver]).finally(() => ended.abort());
  }
}
