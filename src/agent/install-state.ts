/**
 * Stores what an agent must never forget: which generation it attempted last, the outcome, and whether what follows a
 * success has run. An attempt is on disk before the installer starts, so that no generation is ever run twice.
 */
import { findBootId } from "./boot-id.ts";
import { acquireProcessLock, type ProcessLock, ProcessLockedError } from "./process-lock.ts";
import { type Attempt, InstallStateError, readState, resolveLink, writeState } from "./state-file.ts";

/** Outcome of the installation of a generation. Without `error` it succeeded. */
export interface InstallOutcome {
  readonly generation: bigint;
  readonly error?: string | undefined;
}

/** What follows a reported success and has not ended yet. */
export interface DueAfterInstall {
  /** How often it was started. */
  readonly starts: number;
  /** Boot in which it was started last; undefined where boots have no id. */
  readonly bootId?: string | undefined;
}

/** What was started for a generation, was not seen to end, and may still do what it has begun. */
export interface Hanging {
  readonly generation: bigint;
  /** Boot in which it was started. It does not outlive that. */
  readonly bootId: string;
}

/** The state of one machine's agent, in a file that one process has locked. */
export class InstallState {
  readonly #file: string;
  readonly #machineId: string;
  readonly #lock: ProcessLock;
  #attempt: Attempt | undefined;
  /** The last write, which the next one waits for, so that the newest state is the one that stays. */
  #writing: Promise<unknown> = Promise.resolve();

  /** Use `openInstallState`, which takes the lock. */
  constructor(file: string, machineId: string, lock: ProcessLock, attempt: Attempt | undefined) {
    this.#file = file;
    this.#machineId = machineId;
    this.#lock = lock;
    this.#attempt = attempt;
  }

  /** The greatest generation that was ever attempted; undefined before the first. */
  get lastAttempted(): bigint | undefined {
    return this.#attempt?.generation;
  }

  /** The outcome that the server has not acknowledged yet. */
  get pendingOutcome(): InstallOutcome | undefined {
    return this.#attempt?.phase === "done" ? this.#attempt : undefined;
  }

  /**
   * The installer or after-install command that was not seen to end, unless an attempt has begun since. While an
   * attempt is running, it is that attempt.
   */
  get hanging(): Hanging | undefined {
    return this.#attempt?.hanging;
  }

  /** What follows the success that was reported last, unless it has ended. */
  get afterInstall(): DueAfterInstall | undefined {
    const { phase, afterInstall } = this.#attempt ?? {};
    return phase !== "reported" || afterInstall === "over" ? undefined : afterInstall;
  }

  /**
   * Records on disk that `generation` is being attempted. Throws InstallStateError if it may have been attempted
   * before, or if another attempt is running. `request` is the digest of the request, which distinguishes it from
   * another one that a server may make with the same number after losing data. `bootId` is that of the
   * present boot if the installer may outlive this process, which tells a process that finds the attempt unfinished.
   */
  async recordAttempt(generation: bigint, request: string, bootId?: string): Promise<void> {
    const hanging = bootId === undefined ? undefined : { generation, bootId };
    await this.#begin({ generation, request, phase: "installing", hanging });
  }

  /** Records a request that is not carried out as an attempt that failed. Throws like `recordAttempt`. */
  async recordRefusal(generation: bigint, request: string, error: string): Promise<void> {
    await this.#begin({ generation, request, phase: "done", error, hanging: this.hanging });
  }

  async #begin(attempt: Attempt): Promise<void> {
    const { generation } = attempt;
    this.#assertIdle();
    if (this.lastAttempted !== undefined && generation <= this.lastAttempted) {
      throw new InstallStateError(
        `generation ${generation} does not exceed ${this.lastAttempted}, the last one attempted`,
      );
    }
    await this.#write(attempt);
    this.#attempt = attempt;
  }

  /**
   * Records the outcome of the attempt, and whether its installer was given up and may still run. It holds in this
   * process even if writing it throws.
   */
  async recordOutcome(error: string | undefined, { isHanging = false } = {}): Promise<void> {
    await this.#change({ phase: "done", error, ...(!isHanging && { hanging: undefined }) });
  }

  /**
   * Records that the server has accepted the outcome. What follows a success is then due, unless it was due before: the
   * server may ask for the same report twice. This holds in this process even if writing it throws.
   */
  async recordAccepted(): Promise<void> {
    const { error, afterInstall = { starts: 0 } } = this.#attempt ?? {};
    await this.#change({ phase: "reported", ...(error === undefined && { afterInstall }) });
  }

  /** Records that the server will never accept the outcome. This holds in this process even if writing it throws. */
  async recordRefused(): Promise<void> {
    await this.#change({ phase: "reported" });
  }

  /** Records that what follows the success is about to be started in the boot with this id. */
  async recordAfterInstallStart(bootId: string | undefined): Promise<void> {
    const { starts } = this.afterInstall ?? { starts: 0 };
    await this.#change({ afterInstall: { starts: starts + 1, bootId } });
  }

  /** Records that what follows the success does not end, or has ended after all. */
  async recordAfterInstallHang(hanging: Hanging | undefined): Promise<void> {
    await this.#change({ hanging });
  }

  /** Records that what follows the success has ended, and is not to be started again. */
  async recordAfterInstallEnd(): Promise<void> {
    await this.#change({ afterInstall: "over", hanging: undefined });
  }

  /**
   * Makes the last outcome pending again, for a server that has lost it and repeats its request. If `request` differs
   * from the attempted one, the new outcome is a failure. This holds in this process even if writing it throws. Throws
   * InstallStateError while the attempt is running, since it has no outcome yet.
   */
  async reportAgain(request: string): Promise<void> {
    this.#assertIdle();
    const { generation, request: attempted, error } = this.#attempt ?? {};
    const reused = `generation ${generation} was attempted before, for another request: request a greater generation`;
    await this.#change({ phase: "done", error: request === attempted ? error : reused });
  }

  /** Releases the lock on the file. */
  close(): void {
    this.#lock.release();
  }

  /** Throws InstallStateError while an attempt is running: it has no outcome yet, and no second attempt may begin. */
  #assertIdle(): void {
    if (this.#attempt?.phase !== "installing") return;
    throw new InstallStateError(`generation ${this.#attempt.generation} is being installed`);
  }

  async #change(change: Partial<Attempt>): Promise<void> {
    if (this.#attempt === undefined) throw new InstallStateError("no generation was attempted");
    this.#attempt = { ...this.#attempt, ...change };
    await this.#write(this.#attempt);
  }

  async #write(attempt: Attempt): Promise<void> {
    const written = this.#writing.then(() => writeState(this.#file, this.#machineId, attempt));
    this.#writing = written.catch(() => {});
    await written;
  }
}

/**
 * Opens and locks the state file of a machine's agent, and creates it if it does not exist. An attempt that was running
 * when the last process ended becomes a failure, which says so if that was in the present boot: its installer may still
 * run. Throws InstallStateError if the file is in use, damaged, another machine's, or not writable.
 */
export async function openInstallState(path: string, machineId: string, bootId?: string): Promise<InstallState> {
  const file = await resolveLink(path);
  const lock = acquireLock(file);
  try {
    const attempt = endInterrupted(await readState(file, machineId), bootId ?? (await findBootId()));
    await writeState(file, machineId, attempt);
    return new InstallState(file, machineId, lock, attempt);
  } catch (error) {
    lock.release();
    throw error instanceof InstallStateError ? error : new InstallStateError(`${file}: ${(error as Error).message}`);
  }
}

function acquireLock(file: string): ProcessLock {
  try {
    return acquireProcessLock(`${file}.lock`);
  } catch (error) {
    if (error instanceof ProcessLockedError) {
      throw new InstallStateError(
        `${file} is in use by another agent: only one process at a time may install on a machine ` +
          "(if none runs, one that was killed waits for a disk that does not answer: reboot the machine)",
      );
    }
    throw new InstallStateError(`${file}.lock cannot be opened: ${(error as Error).message}`);
  }
}

function endInterrupted(attempt: Attempt | undefined, bootId: string | undefined): Attempt | undefined {
  if (attempt?.phase !== "installing") return attempt;
  const interrupted = `agent restarted while generation ${attempt.generation} was being installed`;
  const mayRun = attempt.hanging !== undefined && attempt.hanging.bootId === bootId;
  const error = mayRun
    ? `${interrupted}: the installer may still write to the disk, so this agent installs nothing else ` +
      "until the machine has rebooted"
    : interrupted;
  return { ...attempt, phase: "done", error };
}
