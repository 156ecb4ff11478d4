/**
 * Chooses the disks of installations from the machines' newest hardware reports. The database does not read reports;
 * whoever requests an installation does.
 *
 * The reports are read without a lock. A report that commits before the request does, and shows other disks, has the
 * request withheld by the view installation_withheld.
 */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { hardwareReport } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** The newest hardware report of a machine. */
export interface NewestHardware {
  /** AgentHardwareReport, protobuf binary. */
  readonly report: Uint8Array;
  /** Time since the report last arrived, in milliseconds. */
  readonly ageMs: number;
}

/** The disk that was chosen from a report. */
export interface DiskChoice {
  /** What identifies it, as in hardware_report.disks. */
  readonly diskId: string;
  /** ExpectedDisk, protobuf binary. */
  readonly expectedDisk: Uint8Array;
  readonly kernelName: string;
  /** The disk in words, for the history. */
  readonly description: string;
  /** The disks of the report that have a name, and the machine's UUID in it, as in hardware_report. */
  readonly disks: Readonly<Record<string, string>>;
  readonly systemUuid: string | undefined;
}

/** The disk of a request, to be chosen. */
export interface DiskToChoose {
  /** How the operator named it, as text. */
  readonly selector: string;
  /** Returns the disk, or throws the error that refuses the request. */
  readonly choose: (newest: NewestHardware | undefined) => DiskChoice;
}

/** A disk that was chosen, with what the request stores of it. */
export interface ChosenForRequest {
  readonly choice: DiskChoice;
  readonly selector: string;
  readonly machineSerialNumber: string | null;
  readonly machineSystemUuid: string | null;
}

/**
 * Chooses the disk of each request that names one, and returns the choices by machine. Throws what `choose` throws. The
 * transaction must hold the machines, and no request's row yet: it writes to the reports that a server of an older
 * version has stored, which that server did not look into.
 */
export async function chooseDisks(
  tx: Transaction,
  requests: readonly { readonly machineId: string; readonly disk?: DiskToChoose | undefined }[],
): Promise<Map<string, ChosenForRequest>> {
  const naming = requests.filter((request) => request.disk !== undefined);
  const reports = await findNewestReports(
    tx,
    naming.map((request) => request.machineId),
  );
  const chosen = new Map<string, ChosenForRequest>();
  for (const { machineId, disk } of naming) {
    if (disk === undefined) continue;
    const newest = reports.get(machineId);
    const choice = disk.choose(newest);
    if (newest?.isListed === false) await storeDisks(tx, machineId, newest.report, choice);
    chosen.set(machineId, {
      choice,
      selector: disk.selector,
      machineSerialNumber: newest?.serialNumber ?? null,
      machineSystemUuid: choice.systemUuid ?? null,
    });
  }
  return chosen;
}

/** A report as it is stored. */
export interface StoredReport extends NewestHardware {
  readonly serialNumber: string | null;
  /** Whether the row lists the disks of this very report. */
  readonly isListed: boolean;
}

/** Returns the newest hardware reports by machine. */
export async function findNewestReports(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, StoredReport>> {
  if (machineIds.length === 0) return new Map();
  const { machineId, report, serialNumber, reportedAt, confirmedAt, inventoriedAt } = hardwareReport;
  const rows = await tx
    .select({
      machineId,
      report,
      serialNumber,
      ageMs: sql<number>`greatest(extract(epoch from clock_timestamp() - greatest(${reportedAt}, ${confirmedAt})) * 1000, 0)::float8`,
      isListed: sql<boolean>`coalesce(${inventoriedAt} = ${reportedAt}, false)`,
    })
    .from(hardwareReport)
    .where(sql`${machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  return new Map(rows.map((row) => [row.machineId, row]));
}

/** Lists the disks of a report in its row, unless a heartbeat has replaced the report meanwhile. */
async function storeDisks(tx: Transaction, machineId: string, report: Uint8Array, choice: DiskChoice): Promise<void> {
  await tx.execute(sql`
    update ${hardwareReport}
       set disks = ${JSON.stringify(choice.disks)}::jsonb, system_uuid = ${choice.systemUuid ?? null},
           inventoried_at = reported_at
     where machine_id = ${machineId} and report = ${Buffer.from(report)}`);
}
