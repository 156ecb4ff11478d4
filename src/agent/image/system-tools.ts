/**
 * Tells the kernel and the firmware about an installed disk, by the system's tools. Without them the disk boots too.
 */
import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { promisify } from "node:util";
import { abortAfter } from "../abort-after.ts";

/** Where Linux shows variables of the firmware, if it was started by UEFI. */
const efiVariables = "/sys/firmware/efi/efivars";

/** Label of the boot entry, by which the next installation finds and replaces it. */
const entryLabel = "bmaas";

const toolTimeoutMs = 60_000;

/** Runs a tool. Resolves to its standard output. Rejects if it is not there or fails. */
export type RunTool = (tool: string, args: readonly string[]) => Promise<string>;

/**
 * Creates what runs a tool, for a minute at most, and not after `signal` has aborted. It does not wait for a tool that
 * hangs: SIGKILL ends that only when its disk answers.
 */
export function createToolRunner(signal: AbortSignal | undefined): RunTool {
  return async (tool, args) => {
    const timeout = abortAfter(toolTimeoutMs);
    const limits = { signal: AbortSignal.any(signal ? [signal, timeout] : [timeout]), killSignal: "SIGKILL" } as const;
    return (await promisify(execFile)(tool, [...args], limits)).stdout;
  };
}

const runTool = createToolRunner(undefined);

/** Makes the kernel read the partition table of the disk. Returns a warning if it does not. */
export async function rereadPartitions(disk: string, run: RunTool = runTool): Promise<string | undefined> {
  const failures: string[] = [];
  for (const [tool, args] of [
    ["blockdev", ["--rereadpt", disk]],
    ["partprobe", [disk]],
  ] as const) {
    try {
      await run(tool, args);
      return undefined;
    } catch (error) {
      failures.push(describeFailure(tool, error));
    }
  }
  return `the kernel has not read the new partition table of ${disk}, and does so at the next boot: ${failures.join(", ")}`;
}

/** Names of the boot loader on a removable medium by Node's architectures (UEFI specification 2.10 section 3.5.1.1). */
const loaders: Readonly<Record<string, string>> = {
  x64: "BOOTX64.EFI",
  ia32: "BOOTIA32.EFI",
  arm64: "BOOTAA64.EFI",
  arm: "BOOTARM.EFI",
  riscv64: "BOOTRISCV64.EFI",
  loong64: "BOOTLOONGARCH64.EFI",
};

/** What `setBootEntry` needs, besides the disk. */
export interface BootEntryOptions {
  /** Number of the EFI system partition; undefined if there is none. */
  readonly efiPartition: number | undefined;
  readonly run?: RunTool;
  /** Default: whether this system was started by UEFI. */
  readonly hasEfi?: boolean;
}

/**
 * Makes the firmware boot from the disk's EFI system partition first, and removes entries of earlier installations.
 * Returns a warning if it could not. A system that was not started by UEFI has no entries, and needs none.
 */
export async function setBootEntry(disk: string, options: BootEntryOptions): Promise<string | undefined> {
  const { efiPartition, run = runTool, hasEfi = await exists(efiVariables) } = options;
  if (!hasEfi) return undefined;
  const failed = (reason: string) => `the UEFI boot entry is not set, so the firmware's order decides: ${reason}`;
  if (efiPartition === undefined) return failed("the image has no EFI system partition");
  const loader = loaders[process.arch];
  if (loader === undefined) return failed(`no boot loader is known for ${process.arch}`);
  try {
    for (const entry of listOwnEntries(await run("efibootmgr", []))) {
      await run("efibootmgr", ["--quiet", "--bootnum", entry, "--delete-bootnum"]);
    }
    const where = ["--disk", disk, "--part", `${efiPartition}`];
    const what = ["--label", entryLabel, "--loader", `\\EFI\\BOOT\\${loader}`];
    await run("efibootmgr", ["--quiet", "--create", ...where, ...what]);
    return undefined;
  } catch (error) {
    return failed(describeFailure("efibootmgr", error));
  }
}

/** Returns the numbers of entries with our label. efibootmgr 18 shows the device path behind a tab. */
function listOwnEntries(listing: string): string[] {
  const entry = new RegExp(`^Boot([0-9A-Fa-f]{4})\\*? +${entryLabel}(?:\\t.*)?$`, "gm");
  return [...listing.matchAll(entry)].map(([, number = ""]) => number);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

function describeFailure(tool: string, error: unknown): string {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return `${tool} is not installed`;
  if (error instanceof Error && error.name === "AbortError") return `${tool} did not end in time`;
  const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  return `${tool} failed: ${(said || String(error)).slice(0, 500)}`;
}
