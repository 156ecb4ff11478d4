/** The processes that the proof starts. None of them outlives it, however it ends. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

/** A process, and whether it leads a group that ends with it. */
interface Owned {
  readonly child: ChildProcess;
  readonly isGroup: boolean;
}

/** Starts processes, and ends those that are left. */
export class Processes {
  readonly #owned = new Set<Owned>();
  #hasEnded = false;

  /** Starts a process. With `detached` it leads a group, which ends with it. Throws once the proof is ending. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    if (this.#hasEnded) throw new Error(`${command} is not started, since the proof is ending`);
    const child = spawn(command, args, options);
    const owned: Owned = { child, isGroup: options.detached === true };
    this.#owned.add(owned);
    for (const event of ["exit", "error"] as const) child.once(event, () => this.#owned.delete(owned));
    return child;
  }

  /** Kills all that run, and lets no other one start. Resolves once they are gone. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    await Promise.all(
      [...this.#owned].map(async ({ child, isGroup }) => {
        if (!isRunning(child)) return;
        const gone = new Promise((resolve) => child.once("exit", resolve));
        if (isGroup && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
        else child.kill("SIGKILL");
        await gone;
      }),
    );
  }
}

/** Whether a process was started and has not ended. */
export function isRunning(child: ChildProcess | undefined): child is ChildProcess & { pid: number } {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
