/** What hardware this machine has, as its agent reports it. */
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

/** What a report takes, all of it optional. */
export interface HardwareReportOptions {
  /** How long any part of the report may take. Default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Default: /sys and /proc. */
  readonly files?: SystemFiles | undefined;
}

type Part = Exclude<MessageInitShape<typeof NodeSchema>, { $typeName: string }>;

const parts: Record<string, (files: SystemFiles) => Promise<Part>> = {
  system: readSystem,
  memory: readMemory,
  CPUs: async (files) => ({ cpu: await readCpus(files) }),
  "block devices": async (files) => ({ blockDevice: await readBlockDevices(files) }),
  "network interfaces": async (files) => ({ networkInterface: await readNetworkInterfaces(files) }),
  "EFI support": async (files) => ({ efiSupport: await readEfiSupport(files) }),
};

/** Describes this machine; never fails, but says in a warning which part could not be found out, and why. */
export async function collectHardwareReport(options: HardwareReportOptions = {}): Promise<AgentHardwareReport> {
  const { timeoutMs = 10_000, files = { sys: "/sys", proc: "/proc" } } = options;
  const warning: string[] = [];
  const report: Part = { efiSupport: EFISupport.EFI_SUPPORT_UNKNOWN };
  const reading = Object.entries(parts).map(async ([name, read]) => {
    try {
      Object.assign(report, await withDeadline(read(files), timeoutMs));
    } catch (error) {
      warning.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  await Promise.all(reading);
  return create(AgentHardwareReportSchema, { report, warning });
}

async function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not known after ${timeoutMs} ms`)), timeoutMs);
  return await Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}
