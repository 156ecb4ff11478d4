/** The handler of HistoryService.ListEvents. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Event,
  EventSchema,
  type ListEventsRequest,
  type ListEventsResponse,
  ListEventsResponseSchema,
} from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { historyKinds, isHistoryKind } from "../../contract/history-kinds.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { hint } from "../../contract/selector-terms.ts";
import {
  type EventFilter,
  type EventKey,
  type EventRow,
  isEventTime,
  listEvents,
} from "../../db/queries/event-list.ts";
import type { AdminContext } from "../admin-context.ts";
import { toListScope, toMachineCondition } from "../machine/to-machine-filter.ts";
import { decodePageToken, encodePageToken, type ListScope, parseKeyNumber } from "../page-token.ts";
import { Violations } from "../violations.ts";
import { isOfEnrolment } from "../watch/change-reader.ts";

const defaultPageSize = 50;

/** Creates the handler of HistoryService.ListEvents. */
export function createListEvents({ db }: Pick<AdminContext, "db">) {
  return async (request: ListEventsRequest): Promise<ListEventsResponse> => {
    const machineId = request.machineId === "" ? undefined : parseMachineId(request.machineId);
    const filter = readFilter(request);
    const scope = toScope(machineId, filter);
    const after = decodePageToken(scope, request.pageToken, machineId === undefined ? parseFleetKey : parseKey);
    const limit = request.pageSize || defaultPageSize;
    const { events, next } = await listEvents(db, { ...filter, machineId, after, limit });
    const key = next && (machineId === undefined ? [next.id.toString(), next.time] : [next.id.toString()]);
    return create(ListEventsResponseSchema, {
      events: events.map(toEvent),
      nextPageToken: key === undefined ? "" : encodePageToken(scope, key),
    });
  };
}

/** Converts the conditions to a canonical form: one that is not set is undefined, and sets are sorted. */
function readFilter({ kinds, actors, filter, startTime, endTime }: ListEventsRequest): EventFilter {
  const violations = new Violations();
  for (const [index, kind] of kinds.entries()) {
    if (!isHistoryKind(kind)) violations.add(`kinds[${index}]`, `is not a kind of events${hint(kind, historyKinds)}`);
  }
  const start = startTime && toText(startTime);
  const end = endTime && toText(endTime);
  if (start !== undefined && end !== undefined && start >= end)
    violations.add("end_time", "must be later than start_time");
  violations.assertNone();
  return {
    kinds: kinds.length === 0 ? undefined : historyKinds.filter((kind) => kinds.includes(kind)),
    actors: actors.length === 0 ? undefined : [...new Set(actors)].toSorted(),
    machines: toMachineCondition(filter),
    start,
    end,
  };
}

/** Formats a time to the microsecond, as PostgreSQL has them. */
function toText({ seconds, nanos }: Timestamp): string {
  const micros = Math.floor(nanos / 1000);
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${micros.toString().padStart(6, "0")}Z`;
}

/** Conditions that are not set are not part of the scope. */
function toScope(machineId: string | undefined, { machines, ...others }: EventFilter): ListScope {
  const own = Object.entries(others).flatMap(([name, value]) => (value === undefined ? [] : [[name, value].flat()]));
  const ofMachines = toListScope(machines);
  return ["events", machineId ?? "", ...own, ...(ofMachines.length > 1 ? ofMachines : [])];
}

function parseKey([id, ...rest]: readonly string[]): EventKey | undefined {
  const number = parseKeyNumber(id);
  return number === undefined || rest.length > 0 ? undefined : { id: number, time: "" };
}

function parseFleetKey([id, time = "", ...rest]: readonly string[]): EventKey | undefined {
  const number = parseKeyNumber(id);
  return number === undefined || !isEventTime(time) || rest.length > 0 ? undefined : { id: number, time };
}

function toEvent({ id, machineId, at, actor, kind, detail }: EventRow): Event {
  const stated = Object.entries(detail).filter((entry): entry is [string, string] => entry[1] !== null);
  return create(EventSchema, {
    id: id.toString(),
    ...(isOfEnrolment({ kind }) ? { enrolmentId: machineId } : { machineId }),
    eventTime: timestampFromDate(at),
    actor,
    kind,
    detail: Object.fromEntries(stated),
  });
}
