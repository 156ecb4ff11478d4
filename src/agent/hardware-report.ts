/** Collects the hardware of this machine for its agent's report. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { EFISupport, type NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { readBlockDevices } from "./hardware/block-devices.ts";
import { readCpus } from "./hardware/cpu.ts";
import { readEfiSupport } from "./hardware/efi-support.ts";
import { readMemory } from "./hardware/memory.ts";
import { readNetworkInterfaces } from "./hardware/network-interfaces.ts";
import type { SystemFiles } from "./hardware/sysfs.ts";
import { readSystem } from "./hardware/system.ts";

/** Options of `collectHardwareReport`. */
export interface HardwareReportOptions {
  /** Longest time of each part of the report. Default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Default: /sys, /proc and /dev. */
  readonly files?: SystemFiles | undefined;
  /** Ends the tools that are running when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

type NodeFields = Exclude<MessageInitShape<typeof NodeSchema>, { $typeName: string }>;

/** A part of the report, and warnings about facts that are missing from it. */
interface Part {
  readonly fields: NodeFields;
  readonly warnings?: readonly string[];
}

/** Limits on the time of a part. */
interface Deadlines {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Share of a part's time that tools may take, so that facts from other sources are reported in time. */
const shareOfTools = 0.8;

const parts: Record<string, (files: SystemFiles, deadlines: Deadlines) => Promise<Part>> = {
  system: readSystem,
  memory: readMemory,
  CPUs: async (files) => ({ fields: { cpu: await readCpus(files) } }),
  "block devices": (files, { timeoutMs, signal }) =>
    readBlockDevices(files, { timeoutMs: timeoutMs * shareOfTools, signal }),
  "network interfaces": readNetworkInterfaces,
  "EFI support": async (files) => ({ fields: { efiSupport: await readEfiSupport(files) } }),
};

/**
 * Returns a description of this machine. Never rejects; a warning says which part could not be determined, and why. The
 * warnings are in the order of the parts, so that the same machine yields the same report.
 */
export async function collectHardwareReport(options: HardwareReportOptions = {}): Promise<AgentHardwareReport> {
  const { timeoutMs = 10_000, files = { sys: "/sys", proc: "/proc", dev: "/dev" }, signal } = options;
  const found = await Promise.all(
    Object.entries(parts).map(async ([name, read]): Promise<Part> => {
      const { fields, warnings = [] } = await withDeadline(read(files, { timeoutMs, signal }), timeoutMs).catch(
        toFailedPart,
      );
      return { fields, warnings: warnings.map((warning) => `${name}: ${warning}`) };
    }),
  );
  return create(AgentHardwareReportSchema, {
    report: Object.assign({ efiSupport: EFISupport.EFI_SUPPORT_UNKNOWN }, ...found.map(({ fields }) => fields)),
    warning: found.flatMap(({ warnings = [] }) => warnings),
  });
}

function toFailedPart(error: unknown): Part {
  return { fields: {}, warnings: [error instanceof Error ? error.message : String(error)] };
}

async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not known after ${timeoutMs} ms`)), timeoutMs);
  return await Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}
