/** Stores hardware reports of machines, as their agents' heartbeats do. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { sql } from "drizzle-orm";
import { type BlockDeviceSchema, BlockDevice_Protocol as Protocol } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toHardwareFigures } from "../../src/agent-callback/hardware-figures.ts";
import type { Database } from "../../src/db/client.ts";
import { hardwareReport } from "../../src/db/schema/index.ts";

/** A disk of a report. */
export type TestDisk = Exclude<MessageInitShape<typeof BlockDeviceSchema>, { $typeName: string }>;

/** The system of a report. */
export interface TestSystem {
  readonly serialNumber?: string;
  readonly systemUuid?: string;
}

/** A SATA disk of 1 TB. */
export const sda: TestDisk = {
  kernelName: "sda",
  deviceModel: "Samsung SSD 860",
  serialNumber: "S3Z8NB0K123456",
  wwn: Uint8Array.of(0x50, 0x02, 0x53, 0x8e, 0x40, 0xa1, 0xb2, 0xc3),
  capacityBytes: 1_000_204_886_016n,
  protocol: Protocol.ATA,
};

/** Returns a report with these disks. */
export function hardwareOf(disks: readonly TestDisk[], system: TestSystem = {}) {
  return create(AgentHardwareReportSchema, { report: { ...system, blockDevice: [...disks] } });
}

/** Stores a report with these disks, which arrived `ageMs` ago. */
export async function storeHardware(
  db: Database,
  machineId: string,
  disks: readonly TestDisk[] = [sda],
  { ageMs = 0, ...system }: TestSystem & { readonly ageMs?: number } = {},
): Promise<void> {
  const report = hardwareOf(disks, system);
  const {
    ownSerialNumber: _own,
    disks: names,
    identifiers: _identifiers,
    ...figures
  } = {
    identifiers: [],
    ...toHardwareFigures(report),
  };
  const at = sql`now() - make_interval(secs => ${ageMs / 1000})`;
  const row = {
    ...{ ...figures, disks: JSON.parse(names ?? "{}") as Record<string, string> },
    ...{ reportedAt: at, confirmedAt: at, inventoriedAt: at },
    report: toBinary(AgentHardwareReportSchema, report),
  };
  await db
    .insert(hardwareReport)
    .values({ machineId, ...row })
    .onConflictDoUpdate({ target: hardwareReport.machineId, set: row });
}
