/** The installer of disk images. */
import type { ImageInstallationRequest, OSInstallationRequest } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { parseDigest, parseImageUrl } from "../../contract/installation-rules.ts";
import { unknownRequestError } from "../../contract/unknown-request.ts";
import { abortAfter } from "../abort-after.ts";
import { DiskMismatchError, type FindDisk, findExpectedDisk } from "../hardware/find-disk.ts";
import type { InstallProgress } from "../install-progress.ts";
import type { Installer } from "../installer.ts";
import type { FetchOptions } from "./fetch-image.ts";
import { type ImageSource, installImage } from "./install-image.ts";
import { createToolRunner, rereadPartitions, setBootEntry } from "./system-tools.ts";
import { openTarget, type Target } from "./target.ts";

/** Options of `createImageInstaller`. */
export interface ImageInstallerOptions
  extends Pick<FetchOptions, "ca" | "maxFailures" | "maxBackoffMs" | "idleTimeoutMs"> {
  readonly machineId: string;
  /** Finds the expected disk once more when its device is open. Default: by the system's description of its disks. */
  readonly findDisk?: FindDisk | undefined;
  /** Whether everything that was written is read back and compared. Default: a sample is. */
  readonly verifiesAll?: boolean | undefined;
  /** Longest time of an installation. Default: unlimited. */
  readonly timeoutMs?: number | undefined;
  /** Called with failures that do not keep the system from booting, and with the reasons for fetching again. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/** Shortest time between two reports of the same step. */
const progressIntervalMs = 1000;

/**
 * Creates an installer that fetches an image and writes it to the disk that the request expects and that was found by
 * what it is. It writes to no other disk, and to none for a request that knows only a name.
 */
export function createImageInstaller(options: ImageInstallerOptions): Installer {
  return async (request, signal, report) => {
    const { timeoutMs } = options;
    const timeout = timeoutMs === undefined ? undefined : abortAfter(timeoutMs);
    try {
      const either = AbortSignal.any(timeout ? [signal, timeout] : [signal]);
      await install(request, { ...options, signal: either, timeout }, report);
      return undefined;
    } catch (error) {
      const { message } = error as Error;
      if (signal.aborted) return `stopped because the agent is stopping: ${message}`;
      if (timeout?.aborted) return `stopped after ${(timeoutMs ?? 0) / 1000} s: ${message}`;
      return message;
    }
  };
}

async function install(
  request: OSInstallationRequest,
  options: ImageInstallerOptions & { readonly signal: AbortSignal; readonly timeout: AbortSignal | undefined },
  report: (progress: InstallProgress) => void,
): Promise<void> {
  const { onWarning = () => {} } = options;
  if (request.type.case !== "image") throw new Error(`${unknownRequestError}: the installer installs disk images only`);
  const source = readSource(request, request.type.value, options.machineId);
  const target = await openExpected(request, options.findDisk ?? findExpectedDisk);
  const { path } = target;
  const layout = await installImage(source, target, {
    ...options,
    verifiesAll: options.verifiesAll ?? false,
    onRetry: onWarning,
    onProgress: createReporter(report),
  }).finally(() => target.close());
  if (target.sectorBytes === undefined) return;
  // The disk boots the image by now. A tool that hangs must not keep the agent from saying so.
  const run = createToolRunner(options.timeout);
  const warnings = [await rereadPartitions(path, run), await setBootEntry(path, { ...layout, run })];
  for (const warning of warnings) if (warning !== undefined) onWarning(warning);
}

/** Checks what the server has checked already, since another server may not. */
function readSource(
  { generation }: OSInstallationRequest,
  { url, digest, userData }: ImageInstallationRequest,
  machineId: string,
): ImageSource {
  return {
    url: check("image URL", () => parseImageUrl(url)),
    digest: check("image digest", () => parseDigest(digest)),
    seed: userData === undefined ? undefined : { machineId, generation, userData },
  };
}

function check(what: string, parse: () => string): string {
  try {
    return parse();
  } catch (error) {
    throw new Error(`the ${what} of the request ${(error as Error).message}`);
  }
}

/**
 * Opens the disk that the request expects. The disks may have changed since it was found, and its path may lead to
 * another one, so it is looked for again while the device is open. Throws DiskMismatchError.
 */
async function openExpected({ expectedDisk }: OSInstallationRequest, findDisk: FindDisk): Promise<Target> {
  if (expectedDisk === undefined || expectedDisk.devicePath === "") {
    throw new DiskMismatchError("the request names no disk by what it is, and a name may lead to another disk");
  }
  const target = await openTarget(expectedDisk.devicePath);
  try {
    const { path, sizeBytes, deviceNumber } = target;
    const { capacityBytes } = expectedDisk;
    if (BigInt(sizeBytes) !== capacityBytes) {
      throw new DiskMismatchError(`${path} has ${sizeBytes} bytes, and the request expects ${capacityBytes}`);
    }
    if (deviceNumber !== undefined) await findDisk(expectedDisk, { heldDevice: deviceNumber });
    return target;
  } catch (error) {
    await target.close();
    throw error;
  }
}

/** Returns a function that reports each new step at once, and its progress from time to time. */
function createReporter(report: (progress: InstallProgress) => void) {
  let last = { phase: "", atMs: 0 };
  return (phase: string, writtenBytes: number, percent: number | undefined) => {
    const atMs = performance.now();
    if (phase === last.phase && atMs - last.atMs < progressIntervalMs) return;
    last = { phase, atMs };
    report({ phase: writtenBytes === 0 ? phase : `${phase}, ${formatBytes(writtenBytes)}`, percent });
  };
}

function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
