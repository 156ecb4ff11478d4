/**
 * Chooses the disks of installations from the machines' newest hardware reports. The database does not read reports;
 * whoever requests an installation does.
 *
 * The reports are read without a lock. A report that commits before the request does, and shows other disks, has the
 * request withheld by the view installation_withheld.
 */
import { sql } from "drizzle-orm";
import { DiskRefusedError } from "../../contract/choose-disk.ts";
import type { Transaction } from "../client.ts";
import { hardwareReport } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import type { Candidates } from "./candidates.ts";

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

/** A request that may name its disk. */
interface Naming {
  readonly machineId: string;
  readonly disk?: DiskToChoose | undefined;
}

/**
 * Chooses the disk of each request that names one, and returns the choices by machine. Refuses machines with the
 * DiskRefusedError that `choose` throws. The transaction must hold the machines, and no request's row yet: it writes to
 * the reports that a server of an older version has stored, which that server did not look into.
 */
export async function chooseDisks(
  tx: Transaction,
  candidates: Candidates<Naming>,
): Promise<Map<string, ChosenForRequest>> {
  const naming = Array.from(candidates).filter((request) => request.disk !== undefined);
  const reports = await findNewestReports(
    tx,
    naming.map((request) => request.machineId),
  );
  const chosen = new Map<string, ChosenForRequest>();
  const unlisted: UnlistedReport[] = [];
  for (const { machineId, disk } of naming) {
    if (disk === undefined) continue;
    const newest = reports.get(machineId);
    const choice = chooseOrRefuse(() => disk.choose(newest), machineId, candidates);
    if (choice === undefined) continue;
    if (newest?.isListed === false) unlisted.push({ machineId, report: newest.report, choice });
    chosen.set(machineId, {
      choice,
      selector: disk.selector,
      machineSerialNumber: newest?.serialNumber ?? null,
      machineSystemUuid: choice.systemUuid ?? null,
    });
  }
  await storeDisks(tx, unlisted);
  return chosen;
}

function chooseOrRefuse(
  choose: () => DiskChoice,
  machineId: string,
  candidates: Candidates<Naming>,
): DiskChoice | undefined {
  try {
    return choose();
  } catch (error) {
    if (!(error instanceof DiskRefusedError)) throw error;
    candidates.refuse(machineId, error);
    return undefined;
  }
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

interface UnlistedReport {
  readonly machineId: string;
  readonly report: Uint8Array;
  readonly choice: DiskChoice;
}

/**
 * Lists the disks of reports in their rows, except where a heartbeat has replaced the report meanwhile. Locks the rows
 * in machine-id order, as heartbeats do.
 */
async function storeDisks(tx: Transaction, reports: readonly UnlistedReport[]): Promise<void> {
  if (reports.length === 0) return;
  const column = (read: (report: UnlistedReport) => string | Uint8Array | null, type: "uuid" | "bytea" | "text") =>
    arrayParameter(reports.map(read), type);
  const machineIds = column(({ machineId }) => machineId, "uuid");
  await tx.execute(sql`
    with locked as materialized (
      select machine_id from ${hardwareReport} where machine_id = any(${machineIds})
       order by machine_id for no key update
    )
    update ${hardwareReport} stored
       set disks = listed.disks::jsonb, system_uuid = listed.system_uuid, inventoried_at = stored.reported_at
      from locked join unnest(
        ${machineIds},
        ${column(({ report }) => report, "bytea")},
        ${column(({ choice }) => JSON.stringify(choice.disks), "text")},
        ${column(({ choice }) => choice.systemUuid ?? null, "text")}
      ) as listed (machine_id, report, disks, system_uuid) using (machine_id)
     where stored.machine_id = listed.machine_id and stored.report = listed.report`);
}
