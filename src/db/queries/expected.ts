/** Queries on the tag Expected, which operators set while they hold the machine. */
import { getTableColumns, sql } from "drizzle-orm";
import { type Expected, toExpectedIdentifiers } from "../../contract/expected.ts";
import type { Transaction } from "../client.ts";
import { expected } from "../schema/index.ts";
import type { WriteOutcome } from "../write-outcome.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll } from "./candidates.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** The tag of one machine as it is stored. */
export type ExpectedRow = Omit<typeof expected.$inferSelect, "expectedAt">;

/** What is expected of a machine from now on, in place of anything before; null for nothing. */
export interface ExpectedChange {
  /** UUID in lower case. */
  readonly machineId: string;
  readonly expected: Expected | null;
}

/**
 * Sets what is expected of the machines, no machine twice, and returns each machine's outcome. Refuses machines with
 * MachineNotFoundError.
 */
export async function setExpected(
  tx: Transaction,
  changes: readonly ExpectedChange[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, WriteOutcome>> {
  const candidates = new Candidates(changes, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const stored = new Map((await findExpected(tx, candidates.machineIds)).map((row) => [row.machineId, row]));
  const outcomes = new Map<string, WriteOutcome>();
  const changed: ExpectedRow[] = [];
  for (const { machineId, expected: facts } of candidates) {
    const before = stored.get(machineId);
    const next = toRow(machineId, facts);
    const isSame = describe(before) === describe(next);
    outcomes.set(machineId, isSame ? "unchanged" : before === undefined ? "created" : "changed");
    if (!isSame) changed.push(next);
  }
  await replaceRows(tx, changed);
  await appendHistory(
    tx,
    changed.map(({ machineId, serialNumber, systemUuid, macAddresses }) => {
      const detail = { serialNumber, systemUuid, macAddresses: macAddresses.join(" ") || null };
      return { machineId, actor, kind: "machine_expected", detail };
    }),
  );
  return outcomes;
}

/** Returns the tags of the machines that have one, in no order. */
async function findExpected(tx: Transaction, machineIds: readonly string[]): Promise<ExpectedRow[]> {
  const { expectedAt: _, ...columns } = getTableColumns(expected);
  return await tx
    .select(columns)
    .from(expected)
    .where(sql`${expected.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
}

/** Returns the row of the facts; one without facts stands for none. */
function toRow(machineId: string, facts: Expected | null): ExpectedRow {
  const identifiers = toExpectedIdentifiers(facts ?? {});
  return {
    machineId,
    serialNumber: facts?.serialNumber ?? null,
    systemUuid: facts?.systemUuid ?? null,
    macAddresses: [...(facts?.macAddresses ?? [])],
    identifiers: identifiers.flat(),
    facts: identifiers.length,
  };
}

function describe(row: ExpectedRow | undefined): string {
  return JSON.stringify([row?.serialNumber ?? null, row?.systemUuid ?? null, row?.macAddresses ?? []]);
}

async function replaceRows(tx: Transaction, rows: readonly ExpectedRow[]): Promise<void> {
  if (rows.length === 0) return;
  const machineIds = rows.map((row) => row.machineId);
  await tx.delete(expected).where(sql`${expected.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const text = JSON.stringify(
    rows
      .filter((row) => row.facts > 0)
      .map(({ machineId, serialNumber, systemUuid, macAddresses, identifiers, facts }) => ({
        machine_id: machineId,
        serial_number: serialNumber,
        system_uuid: systemUuid,
        mac_addresses: macAddresses,
        identifiers,
        facts,
      })),
  );
  // One parameter, since thousands of rows would have more than PostgreSQL takes.
  await tx.execute(sql`
    insert into ${expected} (machine_id, serial_number, system_uuid, mac_addresses, identifiers, facts)
    select machine_id, serial_number, system_uuid, mac_addresses, identifiers, facts
      from jsonb_to_recordset(${text}::jsonb)
        as row (machine_id uuid, serial_number text, system_uuid text, mac_addresses text[], identifiers text[], facts int)`);
}
