/** The handler of MachineService.ListMachines. */
import { create } from "@bufbuild/protobuf";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type ListMachinesRequest,
  type ListMachinesResponse,
  ListMachinesResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Database } from "../../db/client.ts";
import { findScanEnd, type MachineFilter, maxMatchingIds } from "../../db/queries/machine-filter.ts";
import { listMachineOverviews } from "../../db/queries/machine-overview.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, parseKeyUuid } from "../page-token.ts";
import { createWatchToken } from "../watch/resume-token.ts";
import { toMachine } from "./to-machine.ts";
import { toListScope, toMachineCondition } from "./to-machine-filter.ts";

const defaultPageSize = 50;
/** Maximum number of machines that one page scans. Then the page ends, however few of them passed. */
const maxScanned = 1000;
/**
 * How many machines are read at once. Their requests, with up to 512 KiB of user data each, are released before the
 * batch after the next one is read.
 */
const batchSize = maxMatchingIds;

/** Creates the handler of MachineService.ListMachines. */
export function createListMachines({ db }: AdminContext) {
  return async (request: ListMachinesRequest): Promise<ListMachinesResponse> => {
    const filter = toMachineCondition(request.filter);
    const scope = toListScope(filter);
    const after = decodePageToken(scope, request.pageToken, parseKey);
    // The token is taken before the machines are read, so that a watch shows what changes meanwhile.
    const watchToken = await createWatchToken(db);
    const { machines, next } = await readPage(db, filter, after, request.pageSize || defaultPageSize);
    const nextPageToken = next === undefined ? "" : encodePageToken(scope, [next]);
    return create(ListMachinesResponseSchema, { machines, nextPageToken, watchToken });
  };
}

interface Page {
  readonly machines: Machine[];
  /** The id after which the next page continues; undefined after the last page. */
  readonly next: string | undefined;
}

async function readPage(
  db: Database,
  filter: MachineFilter,
  after: string | undefined,
  pageSize: number,
): Promise<Page> {
  const through = await findScanEnd(db, filter, after, maxScanned);
  const read = (position: string | undefined, found: number) => {
    const limit = Math.min(batchSize, pageSize + 1 - found);
    const batch = listMachineOverviews(db, filter, { after: position, through, limit });
    // Whoever awaits it gets the error; until then, it is nobody's.
    batch.catch(() => {});
    return { batch, limit };
  };
  const machines: Machine[] = [];
  // One more than the page holds tells whether more follow.
  for (let reading = read(after, 0); ; ) {
    const { limit } = reading;
    const batch = await reading.batch;
    const found = machines.length + batch.length;
    const isLast = batch.length < limit;
    // PostgreSQL reads the next batch while this one is converted.
    if (!isLast && found <= pageSize) reading = read(batch.at(-1)?.machine.id, found);
    for (const overview of batch) machines.push(toMachine(overview));
    if (isLast) return { machines, next: through };
    if (found > pageSize) break;
  }
  machines.pop();
  return { machines, next: machines.at(-1)?.id };
}

function parseKey([id, ...rest]: readonly string[]): string | undefined {
  return rest.length === 0 ? parseKeyUuid(id) : undefined;
}
