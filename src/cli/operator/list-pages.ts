/** Reads lists page by page. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { type MachineFilterSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "./admin-client.ts";

/** A page of any list. */
interface Page {
  readonly nextPageToken: string;
}

/** Maximum size of a page. */
const maxPageSize = 1000;

/** Requests pages until there are `limit` items or no more follow. An empty page is not the end. */
export async function listPages<T, Answer extends Page>(
  ask: (page: { pageSize: number; pageToken: string }) => Promise<Answer>,
  itemsOf: (answer: Answer) => readonly T[],
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  let pageToken = "";
  do {
    const answer = await ask({ pageSize: Math.min(maxPageSize, limit - items.length), pageToken });
    items.push(...itemsOf(answer));
    pageToken = answer.nextPageToken;
  } while (pageToken !== "" && items.length < limit);
  return items.slice(0, limit);
}

/** Machines, with a token from which a watch shows every later change. */
export interface ListedMachines {
  readonly machines: readonly Machine[];
  readonly watchToken: string;
}

/** Returns the machines that pass the filter, in the order of their ids. */
export async function listMachines(
  operator: Operator,
  filter: MessageInitShape<typeof MachineFilterSchema>,
  limit?: number,
): Promise<ListedMachines> {
  const client = operator.client(MachineService);
  let watchToken: string | undefined;
  const machines = await listPages(
    async (page) => {
      const answer = await client.listMachines({ filter, ...page });
      watchToken ??= answer.watchToken;
      return answer;
    },
    (answer) => answer.machines,
    limit,
  );
  return { machines, watchToken: watchToken ?? "" };
}
