/** Reads installations as operators see them, with their states from the view that decides these. */
import { and, desc, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { InstallationNotFoundError } from "../installation-errors.ts";
import { installationState, installationWithheld, osInstallationRequest } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { checkMachineExists } from "./machine.ts";

/** One installation of one machine, with its state. */
export type InstallationRow = typeof osInstallationRequest.$inferSelect &
  Pick<typeof installationState.$inferSelect, "state" | "since">;

/** One installation, with the reasons why its request is withheld. */
export interface InstallationWithReasons extends InstallationRow {
  /** Empty if the request may be given to an agent, or was. */
  readonly withheld: readonly (typeof installationWithheld.$inferSelect)["reason"][];
}

/** Name of the state of an installation. */
export type InstallationStateName = InstallationRow["state"];

/** Machine and generation, which together identify an installation. */
export type InstallationKey = Pick<InstallationRow, "machineId" | "generation">;

/**
 * Returns an installation of the machine: the newest one if no generation is given. Throws MachineNotFoundError or
 * InstallationNotFoundError. Uses the primary key.
 */
export async function getInstallation(
  db: Database | Transaction,
  machineId: string,
  generation?: bigint,
): Promise<InstallationWithReasons> {
  const isMachines = eq(osInstallationRequest.machineId, machineId);
  const [row] = await selectInstallations(
    db,
    generation === undefined ? isMachines : and(isMachines, eq(osInstallationRequest.generation, generation)),
  ).limit(1);
  if (row === undefined) {
    await checkMachineExists(db, machineId);
    throw new InstallationNotFoundError(machineId, generation);
  }
  return ((await withReasons(db, [row])) as [InstallationWithReasons])[0];
}

/**
 * Returns those of the installations that exist, as `findInstallations` does, with the reasons why they are withheld.
 */
export async function findInstallationsWithReasons(
  db: Database | Transaction,
  keys: readonly InstallationKey[],
): Promise<InstallationWithReasons[]> {
  return await withReasons(db, await findInstallations(db, keys));
}

/** Adds why requests are withheld, each reason once, by the primary keys of what may withhold them. */
async function withReasons(
  db: Database | Transaction,
  rows: readonly InstallationRow[],
): Promise<InstallationWithReasons[]> {
  const pending = rows.filter(({ state }) => state === "pending");
  const reasons = new Map<string, InstallationWithReasons["withheld"][number][]>();
  if (pending.length > 0) {
    const { machineId, generation, reason } = installationWithheld;
    const withheld = db
      .selectDistinct({ machineId, reason })
      .from(installationWithheld)
      .where(and(eq(machineId, sql`key.machine_id`), eq(generation, sql`key.generation`)))
      .as("withheld");
    const found = await db
      .select()
      .from(nameKeys(pending))
      .crossJoinLateral(withheld)
      .orderBy(withheld.machineId, withheld.reason);
    for (const { withheld: each } of found) {
      reasons.set(each.machineId, [...(reasons.get(each.machineId) ?? []), each.reason]);
    }
  }
  return rows.map((row) => ({ ...row, withheld: row.state === "pending" ? (reasons.get(row.machineId) ?? []) : [] }));
}

/**
 * Returns those of the installations that exist, in the order of machine ids and then newest first. Looks each one up
 * by the primary key; for a plain join of many, PostgreSQL would read the whole table.
 */
export async function findInstallations(
  db: Database | Transaction,
  keys: readonly InstallationKey[],
): Promise<InstallationRow[]> {
  const { machineId, generation } = osInstallationRequest;
  const isNamed = and(eq(machineId, sql`key.machine_id`), eq(generation, sql`key.generation`));
  const found = selectInstallations(db, isNamed).limit(1).as("found");
  const rows = await db
    .select()
    .from(nameKeys(keys))
    .crossJoinLateral(found)
    .orderBy(found.machineId, desc(found.generation));
  return rows.map((row) => row.found);
}

function nameKeys(keys: readonly InstallationKey[]): SQL {
  const machineIds = arrayParameter(
    keys.map((key) => key.machineId),
    "uuid",
  );
  const generations = arrayParameter(
    keys.map((key) => key.generation),
    "bigint",
  );
  return sql`unnest(${machineIds}, ${generations}) as key (machine_id, generation)`;
}

function selectInstallations(db: Database | Transaction, condition: SQL | undefined) {
  return db
    .select({
      ...getTableColumns(osInstallationRequest),
      state: installationState.state,
      since: installationState.since,
    })
    .from(osInstallationRequest)
    .innerJoin(
      installationState,
      and(
        eq(installationState.machineId, osInstallationRequest.machineId),
        eq(installationState.generation, osInstallationRequest.generation),
      ),
    )
    .where(condition)
    .orderBy(osInstallationRequest.machineId, desc(osInstallationRequest.generation));
}
