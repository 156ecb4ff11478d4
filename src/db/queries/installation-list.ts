/**
 * Lists installations in pages, by machine and then newest first.
 *
 * The work for a page is bounded by how many installations it scans, not by how many it finds. Where few pass the
 * filter, a page is short and says where the next one continues. A page scans the narrowest index that holds all
 * requested states: the partial index of open installations, that of failed ones, or else the index in the order of the
 * list.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { installationState, osInstallationRequest } from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { readSnapshot } from "../transaction.ts";
import {
  findInstallations,
  type InstallationKey,
  type InstallationRow,
  type InstallationStateName,
} from "./installation-overview.ts";

/** Options of `listInstallations`. */
export interface InstallationListOptions {
  /** Absent: list the installations of all machines. */
  readonly machineId?: string | undefined;
  /** Empty: list installations in any state. */
  readonly states: ReadonlySet<InstallationStateName>;
  /**
   * The page begins after this installation, which need not exist. It must be one of `machineId`, where that is given.
   */
  readonly after?: InstallationKey | undefined;
  /** Maximum number of installations in the page. */
  readonly limit: number;
}

/** A page of installations, and where the next one continues; `next` is absent after the last page. */
export interface InstallationPage {
  readonly installations: InstallationRow[];
  readonly next?: InstallationKey | undefined;
}

/** Maximum number of installations that a page scans when it filters by state. */
const maxScanned = 1000;
/**
 * Approximate limit on the stored requests in a page, which may be large, in bytes. A page has at least one
 * installation.
 */
const maxPageBytes = 8 * 1024 * 1024;

/** Returns one page. It may hold fewer than `limit` installations, or none, while more follow. */
export function listInstallations(db: Database, options: InstallationListOptions): Promise<InstallationPage> {
  const { states, limit } = options;
  // One more than the page can use tells whether anything follows.
  const scanned = (states.size === 0 ? limit : Math.max(limit, maxScanned)) + 1;
  return readSnapshot(db, async (tx) => {
    const candidates = await findCandidates(tx, options, scanned);
    const { keys, next } = cutPage(candidates, options, scanned);
    return { installations: keys.length === 0 ? [] : await findInstallations(tx, keys), next };
  });
}

/** A scanned installation, before its state is filtered. */
interface Candidate extends InstallationKey {
  readonly state: InstallationStateName;
  /** Size of the stored request, in bytes. */
  readonly bytes: number;
}

function cutPage(
  candidates: readonly Candidate[],
  { states, limit }: InstallationListOptions,
  scanned: number,
): { keys: Candidate[]; next?: InstallationKey | undefined } {
  const keys: Candidate[] = [];
  let bytes = 0;
  for (const [index, candidate] of candidates.slice(0, scanned - 1).entries()) {
    if (states.size > 0 && !states.has(candidate.state)) continue;
    keys.push(candidate);
    bytes += candidate.bytes;
    if (keys.length === limit || bytes >= maxPageBytes) {
      return { keys, next: index + 1 < candidates.length ? candidate : undefined };
    }
  }
  return { keys, next: candidates.length === scanned ? candidates[scanned - 2] : undefined };
}

async function findCandidates(
  tx: Transaction,
  { machineId, states, after }: InstallationListOptions,
  limit: number,
): Promise<Candidate[]> {
  const ranges = listRanges(machineId, after);
  const parts = listSources(states).flatMap((source) => ranges.map((range) => sql`${source} and ${range}`));
  const selects = parts.map(
    (part) => sql`(
      select machine_id, generation, octet_length(request) as bytes from ${osInstallationRequest}
       where ${part} order by machine_id, generation desc limit ${limit})`,
  );
  const { rows } = await tx.execute<{ machine_id: string; generation: string; state: string; bytes: number }>(sql`
    select candidate.machine_id, candidate.generation::text, state.state, candidate.bytes
      from (
        select * from (${sql.join(selects, sql` union all `)}) as part
         order by machine_id, generation desc limit ${limit}
      ) as candidate
     cross join lateral (
        select state from ${installationState}
         where machine_id = candidate.machine_id and generation = candidate.generation limit 1
      ) as state
     order by candidate.machine_id, candidate.generation desc`);
  return rows.map(({ machine_id, generation, state, bytes }) => ({
    machineId: machine_id,
    generation: BigInt(generation),
    state: state as InstallationStateName,
    bytes,
  }));
}

/**
 * Returns conditions for the installations that follow `after`, one for each range of the index. A single condition
 * would read a machine's newer installations again.
 */
function listRanges(machineId: string | undefined, after: InstallationKey | undefined): SQL[] {
  if (after === undefined) return [machineId === undefined ? sql`true` : sql`machine_id = ${machineId}`];
  const olderOnes = sql`machine_id = ${after.machineId} and generation < ${after.generation}`;
  return machineId === undefined ? [olderOnes, sql`machine_id > ${after.machineId}`] : [olderOnes];
}

const openStates: ReadonlySet<InstallationStateName> = new Set(["pending", "given", "installing", "overdue"]);

const hasFailed = sql`result = 'error'`;

/**
 * Returns conditions that match disjoint indexes which together hold all installations in `states`. The view still
 * decides each state.
 */
function listSources(states: ReadonlySet<InstallationStateName>): SQL[] {
  const others = [...states].filter((state) => state !== "failed" && !openStates.has(state));
  if (states.size === 0 || others.length > 0) return [sql`true`];
  const wantsOpen = [...states].some((state) => openStates.has(state));
  return [
    ...(wantsOpen ? [sql.raw(isOpen("os_installation_request"))] : []),
    ...(states.has("failed") ? [hasFailed] : []),
  ];
}
