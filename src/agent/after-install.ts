/** Runs what follows a reported success, for example a reboot, and again where a crash may have cut it short. */
import type { AgentEvent } from "./agent-event.ts";
import type { AgentOptions } from "./agent-options.ts";
import { capture } from "./installation-run.ts";

/** How often the same boot of a machine starts it: a command that ends its own agent is not run for ever. */
const maxStarts = 2;

/** Dependencies of `AfterInstall`. */
export interface AfterInstallContext {
  readonly options: Pick<AgentOptions, "afterInstall" | "bootId" | "signal" | "state">;
  readonly emit: (event: AgentEvent) => void;
  /** Writes to the state file, and emits the failure if that fails. */
  readonly save: (write: () => Promise<void>) => Promise<unknown>;
}

/**
 * Runs `afterInstall` once for each reported success. The state file says whether it is due, was started or is over, so
 * that neither a crash nor a restart of the agent loses it.
 */
export class AfterInstall {
  readonly #context: AfterInstallContext;

  constructor(context: AfterInstallContext) {
    this.#context = context;
  }

  /**
   * Runs what an earlier process has left due. What was started and never seen to end runs once more in the same boot.
   * In another boot it does not: a reboot, which most commands ask for, must not follow itself.
   */
  async resume(): Promise<void> {
    const { options, emit, save } = this.#context;
    const { afterInstall } = options.state;
    if (afterInstall === undefined) return;
    const { starts, bootId } = afterInstall;
    const isSameBoot = bootId !== undefined && bootId === options.bootId;
    if (starts === 0 || (isSameBoot && starts < maxStarts)) return await this.run();
    await save(() => options.state.recordAfterInstallEnd());
    emit({ type: "after-install-skipped", reason: isSameBoot ? "interrupted" : "rebooted" });
  }

  /** Runs it now if it is due. */
  async run(): Promise<void> {
    const { options, emit, save } = this.#context;
    const { afterInstall, bootId, signal, state } = options;
    if (state.afterInstall === undefined || signal.aborted) return;
    if (afterInstall !== undefined) {
      await save(() => state.recordAfterInstallStart(bootId));
      const error = await capture(() => afterInstall(signal));
      // It may have asked for the reboot that stops this agent, so the next process decides.
      if (signal.aborted && error !== undefined) return emit({ type: "after-install-stopped" });
      emit({ type: "after-install", error });
    }
    await save(() => state.recordAfterInstallEnd());
  }
}
