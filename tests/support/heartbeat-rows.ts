/** Creates heartbeats as the database stores them, and their machines. */
import { randomBytes, randomUUID } from "node:crypto";
import type pg from "pg";
import type { Identifier, IdentifierKind } from "../../src/contract/identifiers.ts";
import type {
  HardwareReportRow,
  HeartbeatRow,
  InstallationReportRow,
} from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import type { HeartbeatOutcome } from "../../src/db/queries/heartbeat/write-heartbeats.ts";
import type { osInstallationRequest } from "../../src/db/schema/index.ts";
import { type Observed, observe } from "./observer.ts";

/**
 * Creates machines with keys whose private keys nobody has, and returns a heartbeat of each, not sorted by machine id.
 */
export async function createHeartbeatRows(client: pg.ClientBase | pg.Pool, count: number): Promise<HeartbeatRow[]> {
  const rows = Array.from({ length: count }, () => ({ machineId: randomUUID(), publicKey: randomBytes(32) }));
  const machineIds = rows.map((row) => row.machineId);
  await client.query("insert into machine (id) select * from unnest($1::uuid[])", [machineIds]);
  await client.query(
    "insert into agent_started (machine_id, public_key) select * from unnest($1::uuid[], $2::bytea[])",
    [machineIds, rows.map((row) => row.publicKey)],
  );
  return rows;
}

/** Requests an installation on each machine. The stored request is one byte. */
export async function requestGeneration(
  client: pg.ClientBase | pg.Pool,
  rows: readonly HeartbeatRow[],
  generation: bigint,
): Promise<void> {
  await client.query(
    `update os_installation_request set superseded_at = now()
      where machine_id = any($1::uuid[]) and finished_at is null and cancelled_at is null and superseded_at is null`,
    [rows.map((row) => row.machineId)],
  );
  await client.query(
    `insert into os_installation_request (machine_id, generation, requested_by, request)
     select machine_id, $2, 'test', '\\x01' from unnest($1::uuid[]) as t (machine_id)`,
    [rows.map((row) => row.machineId), generation],
  );
}

/** Requests an installation of each machine as `requestGeneration` does, and records that its agent was given it. */
export async function giveGeneration(
  client: pg.ClientBase | pg.Pool,
  rows: readonly HeartbeatRow[],
  generation: bigint,
): Promise<void> {
  await requestGeneration(client, rows, generation);
  await client.query(
    `update os_installation_request
        set first_given_at = now(), last_given_at = now(), times_given = 1, due_at = now() + interval '20 min'
      where machine_id = any($1::uuid[]) and generation = $2`,
    [rows.map((row) => row.machineId), generation],
  );
}

/** Returns a report of success for the generation. */
export function successOf(generation: bigint): InstallationReportRow {
  return { generation, result: "success", report: Buffer.from([0x08, Number(generation & 0x7fn)]) };
}

/** Returns a unique hardware report with two unique identifiers. */
export function newHardware(): HardwareReportRow {
  const [memoryBytes, diskBytes, largestDiskBytes] = [64n * 2n ** 30n, 3_000_000_000_000n, 2_000_000_000_000n];
  const figures = { memoryBytes, cpuThreads: 32, diskBytes, largestDiskBytes };
  return {
    report: randomBytes(16),
    product: "X1",
    ...figures,
    identifiers: [newIdentifier("serial_number"), newIdentifier("mac")],
    facts: {
      ...{ serial: randomBytes(6).toString("hex"), memory: memoryBytes.toString(), diskCount: 1, interfaceCount: 1 },
      disks: { "disk S1": { text: "sda", errors: "0" } },
      interfaces: { "interface 52:54:00:00:00:01": { text: "eth0", up: true } },
      findings: [{ type: "disk_worn", target: "disk S1", detail: "sda: 95 % of its rated endurance is used" }],
    },
  };
}

/** Returns an identifier, by default one that nothing else has. */
export function newIdentifier(
  kind: IdentifierKind,
  value = randomBytes(6).toString("hex"),
  of: Partial<Identifier> = {},
): Identifier {
  return { kind, value, scope: "", shown: value.toUpperCase(), part: "", ...of };
}

/** Returns the generation that is pending for a counted heartbeat, or undefined. */
export function pendingOf(outcome: HeartbeatOutcome | undefined): bigint | undefined {
  return outcome?.kind === "counted" ? outcome.pending?.generation : undefined;
}

/**
 * Reads the machine's stored request of this generation. `due` is the time from the last progress or the first delivery
 * to due_at, in milliseconds, subtracted by PostgreSQL.
 */
export async function readRequest(database: Observed, { machineId }: HeartbeatRow, generation = 1n) {
  const [row] = await observe(database)<StoredRequest[]>`
    select (extract(epoch from due_at - coalesce(progress_at, first_given_at)) * 1000)::int as due,
           first_given_at, last_given_at, times_given::int, started_at, progress_at, phase, percent,
           finished_at, result, error, cancelled_at, superseded_at
      from os_installation_request where machine_id = ${machineId} and generation = ${generation}`;
  if (row === undefined) throw new Error(`generation ${generation} was not requested of ${machineId}`);
  return row;
}

type StoredRequest = { readonly due: number | null; readonly timesGiven: number } & Omit<
  typeof osInstallationRequest.$inferSelect,
  "machineId" | "generation" | "dueAt" | "timesGiven" | "request" | "requestedAt" | "requestedBy" | "cancelledBy"
>;

/** Reads actors, kinds and details of the machine's events, oldest first. */
export async function readHistory(database: Observed, { machineId }: HeartbeatRow) {
  const rows = await observe(database)<{ actor: string; kind: string; detail: Record<string, string | null> }[]>`
    select actor, kind, detail from machine_history where machine_id = ${machineId} order by id`;
  return [...rows];
}

/** Reads the row with the nonce of the machine's last heartbeat; undefined without a heartbeat. */
export async function readNonce(database: Observed, { machineId }: HeartbeatRow) {
  const [row] = await observe(database)<{ nonce: bigint | null }[]>`
    select signature_nonce as nonce from agent_heartbeat where machine_id = ${machineId}`;
  return row;
}

/** Cancels an open request that no agent was given, as an operator does, and returns how many it cancelled. */
export async function cancelUngiven(client: pg.ClientBase | pg.Pool, { machineId }: HeartbeatRow): Promise<number> {
  const { rowCount } = await client.query(
    `update os_installation_request set cancelled_at = now(), cancelled_by = 'test'
      where machine_id = $1 and first_given_at is null
        and finished_at is null and cancelled_at is null and superseded_at is null`,
    [machineId],
  );
  return rowCount ?? 0;
}
