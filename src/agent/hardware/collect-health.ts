/**
 * Collects the health of all disks concurrently, so that neither a disk nor a tool prevents the others from being
 * known.
 */
import {
  BlockDevice_Kind as Kind,
  BlockDevice_Protocol as Protocol,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { abortAfter } from "../abort-after.ts";
import { DeviceToolError, ToolMissingError } from "./device-tool.ts";
import { type DiskHealth, readHealth } from "./disk-health.ts";
import { askSmartctl } from "./smartctl.ts";
import type { SysfsDisk } from "./sysfs-disks.ts";

/** Limits on the time of the collection. */
export interface HealthDeadlines {
  readonly timeoutMs: number;
  /** Ends the collection when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Health that is known after that time. */
export interface CollectedHealth {
  /** Health by the kernel name of a disk's first path. */
  readonly health: ReadonlyMap<string, DiskHealth>;
  /** One warning for each disk whose health could not be determined, or a single one if smartctl is missing. */
  readonly warnings: readonly string[];
}

/** Maximum number of disks that are asked concurrently, since disks share buses. */
const concurrency = 8;

/** Share of the time that one disk may take, so that a disk that hangs does not block the others. */
const shareOfOne = 0.5;

/** Maximum number of warnings. Further ones are summarised. */
const maxWarnings = 20;

/** Maximum length of a message of smartctl in a warning. */
const maxMessageLength = 200;

/** Asks each disk for its health by its paths, until one path answers. Never rejects, and keeps to the limits. */
export async function collectHealth(
  disks: readonly (readonly SysfsDisk[])[],
  { timeoutMs, signal }: HealthDeadlines,
): Promise<CollectedHealth> {
  const health = new Map<string, DiskHealth>();
  const warnings: string[] = [];
  const missing = new AbortController();
  const over = AbortSignal.any([abortAfter(timeoutMs), missing.signal, ...(signal ? [signal] : [])]);
  const queue = disks.filter(canTellHealth).values();
  const work = async () => {
    for (const paths of queue) {
      const [{ name }] = paths as readonly [SysfsDisk];
      try {
        const found = await askPaths(paths, AbortSignal.any([over, abortAfter(timeoutMs * shareOfOne)]));
        if (found !== undefined) health.set(name, found);
      } catch (error) {
        if (error instanceof ToolMissingError) missing.abort(error);
        else warnings.push(`health of ${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const reason: unknown = missing.signal.reason;
  return { health, warnings: reason instanceof Error ? [`health: ${reason.message}`] : sumUp(warnings) };
}

/**
 * Returns whether a disk may have SMART, which ATA, SCSI and NVMe disks have. USB sticks, virtual media and paravirtual
 * disks do not.
 */
function canTellHealth([disk]: readonly SysfsDisk[]): boolean {
  const { kind, protocol, name } = disk as SysfsDisk;
  return kind === Kind.DISK && protocol !== Protocol.MMC && !/^(vd|xvd)/.test(name);
}

async function askPaths(paths: readonly SysfsDisk[], signal: AbortSignal): Promise<DiskHealth | undefined> {
  let failure: unknown;
  for (const { name } of paths) {
    try {
      const answer = await askSmartctl(`/dev/${name.replaceAll("!", "/")}`, signal);
      const health = readHealth(answer);
      if (health !== undefined) return health;
      failure ??= findFailure(answer);
    } catch (error) {
      if (error instanceof ToolMissingError) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

/** Bits of smartctl's exit status: the command line was invalid, or the device could not be opened. */
const notAskedBits = 0b11;

/** Returns an error if the disk could not be asked. A disk that was asked but has no health data is not an error. */
function findFailure({ json, exitStatus }: { json: Record<string, unknown>; exitStatus: number }): Error | undefined {
  if ((exitStatus & notAskedBits) === 0) return undefined;
  const { messages } = (json.smartctl ?? {}) as { messages?: unknown };
  const [first] = Array.isArray(messages) ? messages : [];
  const text = (first as { string?: unknown } | undefined)?.string;
  return new DeviceToolError(
    typeof text === "string" ? text.slice(0, maxMessageLength) : `smartctl ended with status ${exitStatus}`,
  );
}

function sumUp(warnings: readonly string[]): string[] {
  const sorted = warnings.toSorted();
  if (sorted.length <= maxWarnings) return sorted;
  return [...sorted.slice(0, maxWarnings), `health: not known of ${sorted.length - maxWarnings} more disks`];
}
