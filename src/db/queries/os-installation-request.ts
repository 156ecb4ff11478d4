/**
 * The tag OSInstallationRequest, written by operators who hold the machine: under that lock no other request can take the
 * generation, and a report cannot overtake it, since only requested generations are reported.
 */
import { and, asc, desc, max, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { GenerationNotGrowingError } from "../errors.ts";
import { InstallationRefusedError } from "../installation-errors.ts";
import { deletedMachine, osInstallationReport, osInstallationRequest } from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { arrayParameter } from "./array-parameter.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";

/** The greatest generation there can be: int64 on the wire, bigint in the database. */
export const maxGeneration = 2n ** 63n - 1n;

/** What to request of one machine. */
export interface InstallationRequest {
  readonly machineId: string;
  /** Absent: the next one. */
  readonly generation?: bigint | undefined;
  /** Returns the OSInstallationRequest of this generation in protobuf's binary form. */
  readonly encode: (generation: bigint) => Uint8Array;
  /** Refuse when the open request was given to an agent, instead of superseding it. */
  readonly keepGiven?: boolean | undefined;
  /** The generation that is tried once more. */
  readonly retryOf?: bigint | undefined;
}

/** A request as it is stored. */
export type StoredInstallationRequest = Pick<
  typeof osInstallationRequest.$inferSelect,
  "machineId" | "generation" | "cancelledAt" | "request"
>;

/**
 * Requests an installation of every machine given, no machine twice, and returns the generations by machine; the open requests are
 * superseded. Throws MachineNotFoundError, GenerationNotGrowingError for a generation that does not exceed all that were requested
 * of or reported by its machine, or for a machine that has used up `maxGeneration`, and InstallationRefusedError where a given one is
 * to be kept.
 */
export async function requestInstallations(
  tx: Transaction,
  requests: readonly InstallationRequest[],
  actor: string,
): Promise<Map<string, bigint>> {
  const machineIds = requests.map((request) => request.machineId);
  await holdMachines(tx, machineIds);
  const reached = await findReachedGenerations(tx, machineIds);
  const open = await holdOpenRequests(tx, machineIds);
  const generations = new Map<string, bigint>();
  const rows: (typeof osInstallationRequest.$inferInsert)[] = [];
  const history: HistoryEntry[] = [];
  for (const request of requests) {
    const { machineId, retryOf } = request;
    const superseded = open.get(machineId);
    if (request.keepGiven && superseded !== undefined) refuseGiven(superseded);
    const generation = chooseGeneration(request, reached.get(machineId) ?? 0n);
    generations.set(machineId, generation);
    rows.push({ machineId, generation, requestedBy: actor, request: request.encode(generation) });
    const detail: HistoryEntry["detail"] = { generation: generation.toString() };
    if (superseded !== undefined) detail.supersedes = superseded.generation.toString();
    if (retryOf !== undefined) detail.retryOf = retryOf.toString();
    history.push({ machineId, actor, kind: "installation_requested", detail });
  }
  await supersede(tx, [...open.values()]);
  await insertRequests(tx, rows);
  await appendHistory(tx, history);
  return generations;
}

function chooseGeneration({ machineId, generation: given }: InstallationRequest, latest: bigint): bigint {
  const generation = given ?? (latest === maxGeneration ? latest : latest + 1n);
  if (generation <= latest) throw new GenerationNotGrowingError(machineId, generation, latest);
  return generation;
}

type OpenRequest = Pick<typeof osInstallationRequest.$inferSelect, "machineId" | "generation" | "firstGivenAt">;

function refuseGiven(request: OpenRequest): void {
  if (request.firstGivenAt === null) return;
  throw new InstallationRefusedError(
    "INSTALLATION_GIVEN",
    request,
    `was given to an agent at ${request.firstGivenAt.toISOString()}, which may be in the midst of it: wait for its outcome, or supersede it expressly`,
  );
}

/**
 * Returns the machines' open requests and holds them, in machine-id order, as heartbeats take them: what is true of them stays true
 * until the transaction ends. Goes by the partial index of open requests; a row that changed while it was waited for is judged anew.
 */
async function holdOpenRequests(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, OpenRequest>> {
  const { machineId, generation, firstGivenAt } = osInstallationRequest;
  const rows = await tx
    .select({ machineId, generation, firstGivenAt })
    .from(osInstallationRequest)
    .where(
      and(sql`${machineId} = any(${arrayParameter(machineIds, "uuid")})`, sql.raw(isOpen("os_installation_request"))),
    )
    .orderBy(asc(machineId))
    .for("no key update");
  return new Map(rows.map((row) => [row.machineId, row]));
}

async function supersede(tx: Transaction, held: readonly OpenRequest[]): Promise<void> {
  if (held.length === 0) return;
  const machineIds = held.map((row) => row.machineId);
  const generations = held.map((row) => row.generation);
  await tx.execute(sql`
    update ${osInstallationRequest} request set superseded_at = now()
      from unnest(${arrayParameter(machineIds, "uuid")}, ${arrayParameter(generations, "bigint")}) as held (machine_id, generation)
     where request.machine_id = held.machine_id and request.generation = held.generation`);
}

async function insertRequests(
  tx: Transaction,
  rows: readonly (typeof osInstallationRequest.$inferInsert)[],
): Promise<void> {
  if (rows.length === 0) return;
  const machineIds = rows.map((row) => row.machineId);
  const generations = rows.map((row) => row.generation);
  const requesters = rows.map((row) => row.requestedBy);
  const requests = rows.map((row) => row.request);
  await tx.execute(sql`
    insert into ${osInstallationRequest} (machine_id, generation, requested_by, request)
    select * from unnest(
      ${arrayParameter(machineIds, "uuid")},
      ${arrayParameter(generations, "bigint")},
      ${arrayParameter(requesters, "text")},
      ${arrayParameter(requests, "bytea")}
    )`);
}

/**
 * Returns the greatest generation requested of or reported by each machine, before it was deleted too; a machine without one is
 * absent.
 */
export async function findReachedGenerations(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, bigint>> {
  const requested = await tx
    .select({ machineId: osInstallationRequest.machineId, generation: max(osInstallationRequest.generation) })
    .from(osInstallationRequest)
    .where(sql`${osInstallationRequest.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .groupBy(osInstallationRequest.machineId);
  const reported = await tx
    .select({ machineId: osInstallationReport.machineId, generation: osInstallationReport.generation })
    .from(osInstallationReport)
    .where(sql`${osInstallationReport.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const deleted = await tx
    .select({ machineId: deletedMachine.machineId, generation: deletedMachine.generation })
    .from(deletedMachine)
    .where(sql`${deletedMachine.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const reached = new Map<string, bigint>();
  for (const { machineId, generation } of [...requested, ...reported, ...deleted]) {
    if (generation !== null && generation > (reached.get(machineId) ?? 0n)) reached.set(machineId, generation);
  }
  return reached;
}

/** Returns the request of the greatest generation of each machine that has one, cancelled or not. */
export function findLatestInstallationRequests(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<StoredInstallationRequest[]> {
  return tx
    .selectDistinctOn([osInstallationRequest.machineId], storedColumns)
    .from(osInstallationRequest)
    .where(sql`${osInstallationRequest.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .orderBy(osInstallationRequest.machineId, desc(osInstallationRequest.generation));
}

/** Returns those of the named requests that were made, by their primary key. */
export function findInstallationRequests(
  tx: Transaction,
  names: readonly { readonly machineId: string; readonly generation: bigint }[],
): Promise<StoredInstallationRequest[]> {
  const machineIds = names.map((name) => name.machineId);
  const generations = names.map((name) => name.generation);
  return tx
    .select(storedColumns)
    .from(osInstallationRequest)
    .where(
      sql`(${osInstallationRequest.machineId}, ${osInstallationRequest.generation}) in (select * from unnest(${arrayParameter(machineIds, "uuid")}, ${arrayParameter(generations, "bigint")}))`,
    );
}

const storedColumns = {
  machineId: osInstallationRequest.machineId,
  generation: osInstallationRequest.generation,
  cancelledAt: osInstallationRequest.cancelledAt,
  request: osInstallationRequest.request,
};
