/** MachineService.ListMachines */
import { create } from "@bufbuild/protobuf";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type ListMachinesRequest,
  type ListMachinesResponse,
  ListMachinesResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Database } from "../../db/client.ts";
import { findScanEnd, type MachineFilter } from "../../db/queries/machine-filter.ts";
import { listMachineOverviews } from "../../db/queries/machine-overview.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, parseKeyUuid } from "../page-token.ts";
import { createWatchToken } from "../watch/resume-token.ts";
import { toMachine } from "./to-machine.ts";
import { toListScope, toMachineCondition } from "./to-machine-filter.ts";

const defaultPageSize = 50;
/** Most machines that one page looks at; then it ends, however few of them passed. */
const maxScanned = 1000;
/** Machines that are read at once: their requests, which hold up to 512 KiB of user data each, go before the next ones come. */
const batchSize = 64;

/** Makes the handler. */
export function createListMachines({ db }: AdminContext) {
  return async (request: ListMachinesRequest): Promise<ListMachinesResponse> => {
    const filter = toMachineCondition(request.filter);
    const scope = toListScope(filter);
    const after = decodePageToken(scope, request.pageToken, parseKey);
    // Before the machines are read: what changes while they are is watched.
    const watchToken = await createWatchToken(db);
    const { machines, next } = await readPage(db, filter, after, request.pageSize || defaultPageSize);
    const nextPageToken = next === undefined ? "" : encodePageToken(scope, [next]);
    return create(ListMachinesResponseSchema, { machines, nextPageToken, watchToken });
  };
}

interface Page {
  readonly machines: Machine[];
  /** The id after which the next page goes on; undefined when there is none. */
  readonly next: string | undefined;
}

async function readPage(
  db: Database,
  filter: MachineFilter,
  after: string | undefined,
  pageSize: number,
): Promise<Page> {
  const through = await findScanEnd(db, filter, after, maxScanned);
  const machines: Machine[] = [];
  // One more than the page holds tells whether anything follows.
  for (let position = after; machines.length <= pageSize; position = machines.at(-1)?.id) {
    const limit = Math.min(batchSize, pageSize + 1 - machines.length);
    const batch = await listMachineOverviews(db, filter, { after: position, through, limit });
    machines.push(...batch.map(toMachine));
    if (batch.length < limit) return { machines, next: through };
  }
  machines.pop();
  return { machines, next: machines.at(-1)?.id };
}

function parseKey([id, ...rest]: readonly string[]): string | undefined {
  return rest.length === 0 ? parseKeyUuid(id) : undefined;
}
