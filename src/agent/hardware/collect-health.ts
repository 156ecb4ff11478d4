/** Collects the health of all disks at once, so that no disk, and no tool, keeps the others from being known. */
import {
  BlockDevice_Kind as Kind,
  BlockDevice_Protocol as Protocol,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { type DiskHealth, readHealth } from "./disk-health.ts";
import { askSmartctl, SmartctlError, SmartctlMissingError } from "./smartctl.ts";
import type { SysfsDisk } from "./sysfs-disks.ts";

/** How long it may take. */
export interface HealthDeadlines {
  readonly timeoutMs: number;
  /** Ends what is under way. */
  readonly signal?: AbortSignal | undefined;
}

/** What is known after that time. */
export interface CollectedHealth {
  /** By the first path's kernel name. */
  readonly health: ReadonlyMap<string, DiskHealth>;
  /** One for each disk whose health could not be found out, or one when that is so of all. */
  readonly warnings: readonly string[];
}

/** Disks that are asked at the same time; each hangs on a bus with others. */
const concurrency = 8;

/** Share of the time that one disk may take: one that hangs leaves its place to others. */
const shareOfOne = 0.5;

/** More warnings than this are summed up. */
const maxWarnings = 20;

/** Longest text of smartctl that a warning repeats. */
const maxMessageLength = 200;

/** Asks each disk, given by its paths, until one path answers. Never fails, and takes no longer than it may. */
export async function collectHealth(
  disks: readonly (readonly SysfsDisk[])[],
  { timeoutMs, signal }: HealthDeadlines,
): Promise<CollectedHealth> {
  const health = new Map<string, DiskHealth>();
  const warnings: string[] = [];
  const missing = new AbortController();
  const over = AbortSignal.any([AbortSignal.timeout(timeoutMs), missing.signal, ...(signal ? [signal] : [])]);
  const queue = disks.filter(canTellHealth).values();
  const work = async () => {
    for (const paths of queue) {
      const [{ name }] = paths as readonly [SysfsDisk];
      try {
        const found = await askPaths(paths, AbortSignal.any([over, AbortSignal.timeout(timeoutMs * shareOfOne)]));
        if (found !== undefined) health.set(name, found);
      } catch (error) {
        if (error instanceof SmartctlMissingError) missing.abort(error);
        else warnings.push(`health of ${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const reason: unknown = missing.signal.reason;
  return { health, warnings: reason instanceof Error ? [`health: ${reason.message}`] : sumUp(warnings) };
}

/** SMART is of ATA, SCSI and NVMe; sticks and virtual media have none, and paravirtual disks neither. */
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
      if (error instanceof SmartctlMissingError) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

/** Bits of smartctl's exit status: it did not understand the command line, and could not open the device. */
const notAskedBits = 0b11;

/** A disk that was asked and has no health to tell is no failure; one that could not be asked is. */
function findFailure({ json, exitStatus }: { json: Record<string, unknown>; exitStatus: number }): Error | undefined {
  if ((exitStatus & notAskedBits) === 0) return undefined;
  const { messages } = (json.smartctl ?? {}) as { messages?: unknown };
  const [first] = Array.isArray(messages) ? messages : [];
  const text = (first as { string?: unknown } | undefined)?.string;
  return new SmartctlError(
    typeof text === "string" ? text.slice(0, maxMessageLength) : `smartctl ended with status ${exitStatus}`,
  );
}

function sumUp(warnings: readonly string[]): string[] {
  const sorted = warnings.toSorted();
  if (sorted.length <= maxWarnings) return sorted;
  return [...sorted.slice(0, maxWarnings), `health: not known of ${sorted.length - maxWarnings} more disks`];
}
