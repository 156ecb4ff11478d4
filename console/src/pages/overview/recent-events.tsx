/** The newest events of the fleet: those that the history has when the page is opened, and each that happens since. */
import { type Event, HistoryService } from "@api/history_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Changes } from "../../live/live-feed.ts";
import { useChanges } from "../../live/live-provider.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { Actor } from "../../ui/safe-text.tsx";
import { Time, toDate } from "../../ui/time.tsx";

/** Number of events that are shown. */
const maxShown = 8;
/** Number of events that are kept. The last boot of a run may be newer than what follows its first one in the list. */
const maxKept = 50;

/** An event, as the history and the stream of changes both have it. */
type RecentEvent = Pick<Event, "id" | "eventTime" | "kind" | "actor" | "machineId" | "enrolmentId" | "detail">;

/** Shows the newest events, the newest first. */
export function RecentEvents({ isWanted }: { readonly isWanted: boolean }) {
  // What happened while the page was away is only in the list, so the list is asked for again however new it is. The
  // stream asks for it when it begins, and whenever changes may have been missed: each event is in one of the two.
  const query = useQuery(HistoryService.method.listEvents, { pageSize: maxKept }, { enabled: isWanted, staleTime: 0 });
  const [live, setLive] = useState<readonly RecentEvent[]>([]);
  useChanges((changes) => setLive((former) => mergeEvents(former, toEvents(changes))));
  const events = mergeEvents(query.data?.events ?? [], live).slice(0, maxShown);
  return (
    <section className="card wide" aria-labelledby="recent-events-title">
      <h2 id="recent-events-title">Recent events</h2>
      <QueryError query={query} />
      {query.isSuccess && events.length === 0 && <p className="quiet">Nothing has happened yet.</p>}
      <ul className="plain quiet">
        {events.map((event) => (
          <li key={event.id}>
            <Time at={lastTimeOf(event)} /> {event.kind.replaceAll("_", " ")}{" "}
            {event.machineId !== "" ? (
              <Link to="/machines/$machineId" params={{ machineId: event.machineId }} className="mono">
                {event.machineId.slice(0, 8)}
              </Link>
            ) : (
              <Link to="/enrolments" search={{ open: event.enrolmentId }} className="mono">
                {event.enrolmentId.slice(0, 8)}
              </Link>
            )}
            {event.actor !== "" && (
              <>
                {" by "}
                <Actor name={event.actor} />
              </>
            )}
          </li>
        ))}
      </ul>
      <CopyableCommand command="bmaas history --since 1h" />
    </section>
  );
}

/** Returns the changes that the history records, and that a list has when it is asked for later. */
function toEvents(changes: Changes): RecentEvent[] {
  return changes.flatMap((change) => (change.eventId === "" ? [] : [{ ...change, id: change.eventId }]));
}

/** Returns the newest events of both, each once and as it was last heard of, the newest first. */
function mergeEvents(first: readonly RecentEvent[], second: readonly RecentEvent[]): RecentEvent[] {
  const newest = new Map(first.map((event) => [event.id, event]));
  for (const event of second) {
    const known = newest.get(event.id);
    if (known === undefined || lastTimeOf(event) >= lastTimeOf(known)) newest.set(event.id, event);
  }
  const times = [...newest.values()].map((event) => ({ event, timeMs: lastTimeOf(event).getTime() }));
  times.sort((a, b) => b.timeMs - a.timeMs || Number(BigInt(b.event.id) - BigInt(a.event.id)));
  return times.slice(0, maxKept).map(({ event }) => event);
}

/** An event that stands for several boots, or changes of health, has the time of the first one, and says the last. */
function lastTimeOf({ eventTime, detail }: RecentEvent): Date {
  const last = new Date(detail.lastBootTime ?? detail.lastChangeTime ?? "");
  if (!Number.isNaN(last.getTime())) return last;
  return eventTime === undefined ? new Date(0) : toDate(eventTime);
}
