/** The handler of HistoryService.ListEvents. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventSchema,
  type ListEventsRequest,
  type ListEventsResponse,
  ListEventsResponseSchema,
} from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { listNewestEvents } from "../../db/queries/machine-history.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, parseKeyNumber } from "../page-token.ts";

const defaultPageSize = 50;

type EventRow = Awaited<ReturnType<typeof listNewestEvents>>[number];

/** Creates the handler of HistoryService.ListEvents. */
export function createListEvents({ db }: AdminContext) {
  return async (request: ListEventsRequest): Promise<ListEventsResponse> => {
    const machineId = parseMachineId(request.machineId);
    const scope = ["events", machineId];
    const before = decodePageToken(scope, request.pageToken, ([id, ...rest]) =>
      rest.length === 0 ? parseKeyNumber(id) : undefined,
    );
    const pageSize = request.pageSize || defaultPageSize;
    // One more than the page holds tells whether more follow.
    const rows = await listNewestEvents(db, machineId, { before, limit: pageSize + 1 });
    const page = rows.slice(0, pageSize);
    const last = rows.length > pageSize ? page.at(-1) : undefined;
    return create(ListEventsResponseSchema, {
      events: page.map(toEvent),
      nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.id.toString()]),
    });
  };
}

function toEvent({ at, actor, kind, detail }: EventRow): Event {
  const stated = Object.entries(detail).filter((entry): entry is [string, string] => entry[1] !== null);
  return create(EventSchema, { eventTime: timestampFromDate(at), actor, kind, detail: Object.fromEntries(stated) });
}
