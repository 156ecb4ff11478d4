/**
 * Queries on the tag OSInstallationRequest, which operators write while they hold the machine. Under that lock no other
 * request can take the same generation. If an agent reports the generation while it is being requested, the request is
 * withheld.
 */
import { and, asc, desc, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { GenerationNotGrowingError } from "../errors.ts";
import { InstallationRefusedError } from "../installation-errors.ts";
import { osInstallationRequest } from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { findUnawareAgents } from "./agent-started.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll } from "./candidates.ts";
import { type ChosenForRequest, chooseDisks, type DiskChoice, type DiskToChoose } from "./disk-choice.ts";
import { findReachedGenerations, findRefusedGenerations, maxGeneration } from "./installation-generation.ts";
import { holdMachines } from "./machine.ts";
import { findBlockingAlerts, MachineBlockedError } from "./machine-health.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";
import { findHolds, MachineHeldError } from "./machine-hold.ts";

/** An installation to request of one machine. */
export interface InstallationRequest {
  readonly machineId: string;
  /** Absent: the next generation. */
  readonly generation?: bigint | undefined;
  /** Returns the OSInstallationRequest of this generation in protobuf's binary form. */
  readonly encode: (generation: bigint, disk: DiskChoice | undefined) => Uint8Array;
  /** Absent: the request names its disk by the root device alone, whatever the hardware report says. */
  readonly disk?: DiskToChoose | undefined;
  /** Limit on the installations given to the machine; absent for a request that an operator made for it alone. */
  readonly reinstallLimit?: ReinstallLimit | undefined;
  /** Whether to refuse, rather than supersede the open request, if an agent was given that. */
  readonly keepGiven?: boolean | undefined;
  /** The generation that this request retries. */
  readonly retryOf?: bigint | undefined;
  /** Whether to refuse if the machine's agent has called but never shown that it supports more than Metropolis. */
  readonly needsAdditions?: boolean | undefined;
}

/** A limit that withholds a request once its machine was given so many installations within the window. */
export interface ReinstallLimit {
  readonly count: number;
  readonly windowSeconds: number;
}

/** Limits on requests from the settings. */
export interface InstallationLimits {
  /** Age from which a hardware report says nothing about the machine's disks. */
  readonly hardwareMaxAgeMs: number;
  /** Limit on requests that no operator made for one machine alone; absent: none. */
  readonly reinstallLimit: ReinstallLimit | undefined;
}

/** Returns the limits from the settings of those names. A limit of 0 means no limit. */
export function toInstallationLimits(settings: {
  readonly hardwareMaxAgeMs: number;
  readonly reinstallLimit: number;
  readonly reinstallWindowMs: number;
}): InstallationLimits {
  const { hardwareMaxAgeMs, reinstallLimit: count, reinstallWindowMs } = settings;
  const windowSeconds = Math.ceil(reinstallWindowMs / 1000);
  return { hardwareMaxAgeMs, reinstallLimit: count === 0 ? undefined : { count, windowSeconds } };
}

/** A request as it is stored. */
export type StoredInstallationRequest = Pick<
  typeof osInstallationRequest.$inferSelect,
  "machineId" | "generation" | "cancelledAt" | "request" | "diskSelector"
>;

/**
 * Requests an installation on each of the machines, no machine twice, and returns the generations by machine.
 * Supersedes their open requests. Refuses machines with MachineNotFoundError; MachineHeldError; MachineBlockedError;
 * the DiskRefusedError of a disk; GenerationNotGrowingError for a generation that does not exceed all that were
 * requested of or reported by the machine, or for a machine that has used up `maxGeneration`; and
 * InstallationRefusedError for an open request that was given and must be kept, for a generation that the agent has
 * already reported, or for an agent that may not support the request.
 */
export async function requestInstallations(
  tx: Transaction,
  requests: readonly InstallationRequest[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, bigint>> {
  const candidates = new Candidates(requests, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const holds = await findHolds(tx, candidates.machineIds);
  for (const hold of holds.values()) candidates.refuse(hold.machineId, new MachineHeldError(hold));
  const blocked = await findBlockingAlerts(tx, candidates.machineIds);
  for (const [machineId, alerts] of blocked) candidates.refuse(machineId, new MachineBlockedError(machineId, alerts));
  const chosen = await chooseDisks(tx, candidates);
  const { generations, open } = await chooseGenerations(tx, candidates);
  const rows: (typeof osInstallationRequest.$inferInsert)[] = [];
  const history: HistoryEntry[] = [];
  for (const request of candidates) {
    const { machineId, retryOf } = request;
    const generation = generations.get(machineId) as bigint;
    const superseded = open.get(machineId);
    const disk = chosen.get(machineId);
    rows.push({
      ...{ machineId, generation, requestedBy: actor, request: request.encode(generation, disk?.choice) },
      ...(disk && toDiskColumns(disk)),
      reinstallLimit: request.reinstallLimit?.count ?? null,
      reinstallWindowSeconds: request.reinstallLimit?.windowSeconds ?? null,
    });
    const detail: HistoryEntry["detail"] = { generation: generation.toString() };
    if (disk !== undefined) detail.disk = disk.choice.description;
    if (superseded !== undefined) detail.supersedes = superseded.generation.toString();
    if (retryOf !== undefined) detail.retryOf = retryOf.toString();
    history.push({ machineId, actor, kind: "installation_requested", detail });
  }
  await supersede(
    tx,
    Array.from(candidates, ({ machineId }) => open.get(machineId)).filter((row) => row !== undefined),
  );
  await insertRequests(tx, rows);
  await appendHistory(tx, history);
  return generations;
}

/** Returns the generation of each request that is not refused, and the open requests, by machine. Locks the latter. */
async function chooseGenerations(
  tx: Transaction,
  candidates: Candidates<InstallationRequest>,
): Promise<{ readonly generations: Map<string, bigint>; readonly open: ReadonlyMap<string, OpenRequest> }> {
  const { machineIds } = candidates;
  // In this order: a report that commits in between raises what was reached, and refuses no request without a
  // generation.
  const reported = await findRefusedGenerations(tx, machineIds);
  const reached = await findReachedGenerations(tx, machineIds);
  const open = await holdOpenRequests(tx, machineIds);
  const demanding = Array.from(candidates).filter((request) => request.needsAdditions);
  const unaware = await findUnawareAgents(
    tx,
    demanding.map((request) => request.machineId),
  );
  const generations = new Map<string, bigint>();
  for (const request of candidates) {
    const { machineId, keepGiven, needsAdditions } = request;
    const latest = reached.get(machineId) ?? 0n;
    const generation = request.generation ?? (latest === maxGeneration ? latest : latest + 1n);
    const named = { machineId, generation };
    const refusal =
      (keepGiven && findGivenRefusal(open.get(machineId))) ||
      (generation <= latest && new GenerationNotGrowingError(machineId, generation, latest)) ||
      (reported.get(machineId) === generation && createReportedRefusal(named)) ||
      (needsAdditions && unaware.has(machineId) && createUnawareRefusal(named));
    if (refusal) candidates.refuse(machineId, refusal);
    else generations.set(machineId, generation);
  }
  return { generations, open };
}

function toDiskColumns({ choice, selector, machineSerialNumber, machineSystemUuid }: ChosenForRequest) {
  return { diskId: choice.diskId, diskSelector: selector, machineSerialNumber, machineSystemUuid };
}

/**
 * Returns why the open request of each machine whose agent was given it is kept, by machine. It locks nothing, so that
 * an agent may be given another one meanwhile.
 */
export async function findGivenRefusals(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, InstallationRefusedError>> {
  const open = await selectOpenRequests(tx, machineIds);
  return new Map(
    open.flatMap((request) => {
      const refusal = findGivenRefusal(request);
      return refusal === undefined ? [] : [[request.machineId, refusal]];
    }),
  );
}

type OpenRequest = Pick<typeof osInstallationRequest.$inferSelect, "machineId" | "generation" | "firstGivenAt">;

function findGivenRefusal(request: OpenRequest | undefined): InstallationRefusedError | undefined {
  if (request === undefined || request.firstGivenAt === null) return undefined;
  return new InstallationRefusedError(
    "INSTALLATION_GIVEN",
    request,
    `was given to an agent at ${request.firstGivenAt.toISOString()}, which may be installing: wait for its outcome, or supersede it explicitly`,
  );
}

function createReportedRefusal(request: Pick<OpenRequest, "machineId" | "generation">): InstallationRefusedError {
  return new InstallationRefusedError(
    "GENERATION_REPORTED",
    request,
    "was reported by the machine's agent already, which was never given it: take another generation",
  );
}

function createUnawareRefusal(request: Pick<OpenRequest, "machineId" | "generation">): InstallationRefusedError {
  return new InstallationRefusedError(
    "AGENT_TOO_OLD",
    request,
    "needs an agent that knows images, and the machine's agent has never shown that it does: Monogon agents report an error and reboot. Start the agent of bmaas on the machine, request a Metropolis node, or force it",
  );
}

/**
 * Returns the machines' open requests and locks them, in machine-id order as heartbeats do, so that they do not change
 * until the transaction ends. Uses the partial index of open requests. PostgreSQL rechecks a row that changed while it
 * waited for the lock.
 */
export async function holdOpenRequests(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, OpenRequest>> {
  const rows = await selectOpenRequests(tx, machineIds).for("no key update");
  return new Map(rows.map((row) => [row.machineId, row]));
}

function selectOpenRequests(tx: Transaction, machineIds: readonly string[]) {
  const { machineId, generation, firstGivenAt } = osInstallationRequest;
  return tx
    .select({ machineId, generation, firstGivenAt })
    .from(osInstallationRequest)
    .where(
      and(sql`${machineId} = any(${arrayParameter(machineIds, "uuid")})`, sql.raw(isOpen("os_installation_request"))),
    )
    .orderBy(asc(machineId));
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
  type Column = Parameters<typeof arrayParameter>;
  const column = (read: (row: (typeof rows)[number]) => Column[0][number], type: Column[1]) =>
    arrayParameter(rows.map(read), type);
  await tx.execute(sql`
    insert into ${osInstallationRequest} (machine_id, generation, requested_by, request, disk_selector, disk_id,
      machine_serial_number, machine_system_uuid, reinstall_limit, reinstall_window_seconds)
    select * from unnest(
      ${column((row) => row.machineId, "uuid")},
      ${column((row) => row.generation, "bigint")},
      ${column((row) => row.requestedBy, "text")},
      ${column((row) => row.request, "bytea")},
      ${column((row) => row.diskSelector ?? null, "text")},
      ${column((row) => row.diskId ?? null, "text")},
      ${column((row) => row.machineSerialNumber ?? null, "text")},
      ${column((row) => row.machineSystemUuid ?? null, "text")},
      ${column((row) => row.reinstallLimit ?? null, "integer")},
      ${column((row) => row.reinstallWindowSeconds ?? null, "integer")}
    )`);
}

/** Returns the request with the greatest generation of each machine that has one, cancelled or not. */
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

/** Returns those of the named requests that exist, by their primary key. */
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
  diskSelector: osInstallationRequest.diskSelector,
};
