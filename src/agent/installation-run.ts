/** One installation that is under way, while its agent goes on heartbeating. */
import type { OSInstallationRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { parseWholeDisk } from "../contract/installation-rules.ts";
import { boundProgress, type InstallProgress } from "./install-progress.ts";
import type { Installer } from "./installer.ts";

/** Its installer, and what that last said of its progress. */
export class InstallationRun {
  readonly generation: bigint;
  /**
   * Settles once the installer has ended, and never rejects: undefined when it is installed, and otherwise what went
   * wrong.
   */
  readonly ended: Promise<string | undefined>;
  #progress: InstallProgress = {};
  #hasNews = false;

  /** Starts the installer, unless the request is for something else than a disk; `onProgress` hears of every change. */
  constructor(
    request: OSInstallationRequest,
    install: Installer,
    options: { signal: AbortSignal; onProgress: (progress: InstallProgress) => void },
  ) {
    this.generation = request.generation;
    let isUnderWay = true;
    const report = (said: InstallProgress) => {
      const progress = boundProgress(said);
      if (!isUnderWay || isSame(progress, this.#progress)) return;
      this.#progress = progress;
      this.#hasNews = true;
      options.onProgress(progress);
    };
    this.ended = capture(async () => {
      checkRootDevice(request);
      return await install(request, options.signal, report);
    }).finally(() => {
      isUnderWay = false;
    });
  }

  /** Whether the installer has said something that was not taken yet. */
  get hasNews(): boolean {
    return this.#hasNews;
  }

  /** Takes what the installer last said. */
  takeProgress(): InstallProgress {
    this.#hasNews = false;
    return this.#progress;
  }
}

/** A server that is older, or another one, may ask for a partition, and others may have data on the same disk. */
function checkRootDevice({ type }: OSInstallationRequest): void {
  const name = type.value?.rootDevice.replace(/^\/dev\//, "");
  if (name === undefined) return;
  try {
    parseWholeDisk(name);
  } catch (error) {
    throw new Error(`root device ${name} ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isSame(a: InstallProgress, b: InstallProgress): boolean {
  return a.phase === b.phase && a.percent === b.percent && a.quietForMs === b.quietForMs;
}

/** What went wrong, also when it was thrown. */
export async function capture(run: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
