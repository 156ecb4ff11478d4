/** Reads lists page by page. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { type MachineFilterSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "./admin-client.ts";

/** A page of any list. */
interface Page {
  readonly nextPageToken: string;
}

/** What to ask for. */
interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Maximum size of a page. */
const maxPageSize = 1000;

/** Requests pages until there are `limit` items or no more follow. An empty page is not the end. */
export async function listPages<T, Answer extends Page>(
  ask: (page: PageRequest) => Promise<Answer>,
  itemsOf: (answer: Answer) => readonly T[],
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  for await (const answer of walkPages(ask, (each) => itemsOf(each).length, limit)) items.push(...itemsOf(answer));
  return items.slice(0, limit);
}

/**
 * Yields pages until they have `limit` items or no more follow. Asks for the next page before it yields one, so that
 * the server works while the caller does.
 */
async function* walkPages<Answer extends Page>(
  ask: (page: PageRequest) => Promise<Answer>,
  count: (answer: Answer) => number,
  limit: number,
): AsyncGenerator<Answer> {
  let left = limit;
  let asked: Promise<Answer> | undefined = ask({ pageSize: Math.min(maxPageSize, left), pageToken: "" });
  while (asked !== undefined) {
    const answer: Answer = await asked;
    left -= count(answer);
    const pageToken = answer.nextPageToken;
    asked = pageToken === "" || left <= 0 ? undefined : ask({ pageSize: Math.min(maxPageSize, left), pageToken });
    // Whoever awaits it gets the error; until then, it is nobody's.
    asked?.catch(() => {});
    yield answer;
  }
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
  const pages: ListedMachines[] = [];
  for await (const page of walkMachines(operator, filter, limit)) pages.push(page);
  return { machines: pages.flatMap(({ machines }) => machines), watchToken: pages[0]?.watchToken ?? "" };
}

/**
 * Yields the machines that pass the filter page by page, in the order of their ids. There is a page even if there are
 * no machines. The first one's token shows every later change.
 */
export async function* walkMachines(
  operator: Operator,
  filter: MessageInitShape<typeof MachineFilterSchema>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<ListedMachines> {
  const client = operator.client(MachineService);
  let left = limit;
  const pages = walkPages(
    (page) => client.listMachines({ filter, ...page }),
    ({ machines }) => machines.length,
    limit,
  );
  for await (const { machines, watchToken } of pages) {
    yield { machines: machines.slice(0, left), watchToken };
    left -= machines.length;
  }
}
