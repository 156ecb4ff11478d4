/** Hands out the installations of a seed in groups, since each is compared and encoded by the program. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../../client.ts";
import { findPublicKeys } from "../agent-started.ts";
import { arrayParameter } from "../array-parameter.ts";

/** A machine of the file that has an `install`. */
export interface SeedInstallRow {
  readonly index: number;
  readonly machineId: string;
  /** The `install` as the file's reader wrote it. */
  readonly text: string;
  /** Whether the file replaces the key of the machine's agent. */
  readonly isKeyReplaced: boolean;
}

/** Bounds of a group. */
const maxGroupMachines = 1_000;
const maxGroupCharacters = 8 * 1024 * 1024;

/**
 * Returns the machines that have an `install`, in id order, in groups that fit into memory; `requested` only those that
 * `noteSeedInstalls` noted as to be requested.
 */
export async function* listSeedInstalls(tx: Transaction, which: "all" | "requested"): AsyncGenerator<SeedInstallRow[]> {
  await tx.execute("create index if not exists seed_row_install on seed_row (machine_id) where install is not null");
  await tx.execute("create index if not exists seed_install_index on seed_install (index)");
  for (let last: string | null = null; ; ) {
    const ids: string[] = await findGroup(tx, last, which);
    if (ids.length === 0) return;
    yield await readGroup(tx, ids);
    last = ids.at(-1) ?? null;
  }
}

async function findGroup(tx: Transaction, last: string | null, which: "all" | "requested"): Promise<string[]> {
  const isWanted =
    which === "all"
      ? sql`true`
      : sql`exists (select from seed_install noted where noted.index = seed_row.index and noted.is_requested)`;
  const { rows } = await tx.execute<{ id: string; size: number }>(sql`
    select machine_id as id, length(install) as size from seed_row
     where install is not null and (${last}::uuid is null or machine_id > ${last}::uuid) and ${isWanted}
     order by machine_id limit ${maxGroupMachines}`);
  let total = 0;
  return rows
    .filter(({ size }, place) => {
      total += size;
      return place === 0 || total <= maxGroupCharacters;
    })
    .map(({ id }) => id);
}

async function readGroup(tx: Transaction, ids: readonly string[]): Promise<SeedInstallRow[]> {
  const { rows } = await tx.execute<{ index: number; machine_id: string; install: string; public_key: Buffer | null }>(
    sql`select index, machine_id, install, public_key from seed_row
         where install is not null and machine_id = any(${arrayParameter(ids, "uuid")}) order by machine_id`,
  );
  const stored = await findPublicKeys(tx, ids);
  return rows.map((row) => ({
    ...{ index: row.index, machineId: row.machine_id, text: row.install },
    isKeyReplaced: row.public_key !== null && row.public_key.toString("hex") !== stored.get(row.machine_id),
  }));
}

/** What is to be done about an `install`. */
export interface SeedInstallOutcome {
  readonly index: number;
  readonly machineId: string;
  readonly isRequested: boolean;
  /** Absent until the next generation is requested. */
  readonly generation?: bigint | undefined;
  readonly note?: string | undefined;
}

/** Notes what is to be done about installations. */
export async function noteSeedInstalls(tx: Transaction, outcomes: readonly SeedInstallOutcome[]): Promise<void> {
  if (outcomes.length === 0) return;
  const requested = outcomes.map(({ isRequested }) => (isRequested ? 1 : 0));
  await tx.execute(sql`
    insert into seed_install (index, machine_id, is_requested, generation, note)
    select index, machine_id, requested = 1, generation, note from unnest(
      ${arrayParameter(
        outcomes.map(({ index }) => index),
        "integer",
      )},
      ${arrayParameter(
        outcomes.map(({ machineId }) => machineId),
        "uuid",
      )},
      ${arrayParameter(requested, "integer")},
      ${arrayParameter(
        outcomes.map(({ generation }) => generation ?? null),
        "bigint",
      )},
      ${arrayParameter(
        outcomes.map(({ note }) => note ?? null),
        "text",
      )}
    ) as outcome (index, machine_id, requested, generation, note)`);
}

/** Notes the generations that were requested. */
export async function noteSeedGenerations(tx: Transaction, generations: ReadonlyMap<string, bigint>): Promise<void> {
  await tx.execute(sql`
    update seed_install noted set generation = requested.generation
      from unnest(${arrayParameter([...generations.keys()], "uuid")},
                  ${arrayParameter([...generations.values()], "bigint")}) as requested (machine_id, generation)
     where noted.machine_id = requested.machine_id`);
}
