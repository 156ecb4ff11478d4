/** A running installation, during which the agent continues to send heartbeats. */
import { clone } from "@bufbuild/protobuf";
import { type OSInstallationRequest, OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { parseWholeDisk } from "../contract/installation-rules.ts";
import type { FindDisk } from "./hardware/find-disk.ts";
import { boundProgress, type InstallProgress } from "./install-progress.ts";
import type { Installer } from "./installer.ts";

/** Longest time of a timer. */
const maxTimerMs = 2 ** 31 - 1;

/** A running installer and its latest progress. */
export class InstallationRun {
  readonly generation: bigint;
  /** Resolves when the installer has ended or was given up: to undefined on success, or else to the error. */
  readonly ended: Promise<string | undefined>;
  /** Resolves when the installer has ended. Never rejects. */
  readonly left: Promise<void>;
  #isLeft = false;
  #progress: InstallProgress = {};
  #hasNews = false;

  /**
   * Starts the installer, unless the expected disk is not found, or the root device is not a whole disk. `onProgress`
   * is called with every change. After `limitMs` the installer is given up.
   */
  constructor(
    request: OSInstallationRequest,
    install: Installer,
    options: {
      signal: AbortSignal;
      findDisk: FindDisk;
      onProgress: (progress: InstallProgress) => void;
      limitMs?: number | undefined;
    },
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
    const givenUp = new AbortController();
    const ended = capture(async () => {
      const located = await locateDisk(request, options.findDisk);
      givenUp.signal.throwIfAborted();
      return await install(located, AbortSignal.any([options.signal, givenUp.signal]), report);
    });
    this.left = ended.then(() => {
      this.#isLeft = true;
    });
    this.ended = giveUpAfter(options.limitMs, ended, givenUp).finally(() => {
      isUnderWay = false;
    });
  }

  /** Whether the installer has ended. One that was given up may still do what it has begun. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Whether the installer has reported progress since the last `takeProgress`. */
  get hasNews(): boolean {
    return this.#hasNews;
  }

  /** Returns the latest progress and marks it as taken. */
  takeProgress(): InstallProgress {
    this.#hasNews = false;
    return this.#progress;
  }
}

/** Resolves to what `ended` does, or after `limitMs` to an error, and then aborts `givenUp`. */
async function giveUpAfter(
  limitMs: number | undefined,
  ended: Promise<string | undefined>,
  givenUp: AbortController,
): Promise<string | undefined> {
  if (limitMs === undefined) return await ended;
  const limit = Promise.withResolvers<string>();
  const timer = setTimeout(
    () => {
      givenUp.abort();
      limit.resolve(
        `given up after ${limitMs / 1000} s: the installer does not end, as when a disk hangs; ` +
          "this agent installs nothing else until it has ended or the machine has rebooted",
      );
    },
    Math.min(limitMs, maxTimerMs),
  );
  return await Promise.race([ended, limit.promise]).finally(() => clearTimeout(timer));
}

/**
 * Returns the request with the expected disk's present name and device path. Throws if the disk is not found or may not
 * be overwritten. A request without an expected disk names it by its root device alone.
 */
async function locateDisk(request: OSInstallationRequest, findDisk: FindDisk): Promise<OSInstallationRequest> {
  const { expectedDisk } = request;
  if (expectedDisk === undefined) {
    checkRootDevice(request);
    return request;
  }
  const { path, name } = await findDisk(expectedDisk);
  const located = clone(OSInstallationRequestSchema, request);
  if (located.expectedDisk !== undefined) located.expectedDisk.devicePath = path;
  if (located.type.value !== undefined) located.type.value.rootDevice = name;
  return located;
}

/**
 * Throws if the root device is not a whole disk. An older or different server may request a partition, next to which
 * others may have data on the same disk.
 */
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

/** Returns the error that `run` returns or throws, as text, or undefined. */
export async function capture(run: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
