/** A quiet line of what has happened since the page was opened. */
import { useState } from "react";
import type { Changes } from "../../live/live-feed.ts";
import { useChanges } from "../../live/live-provider.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

/** Number of events that are shown. */
const maxShown = 6;

/** Shows the newest events, the newest first. */
export function RecentEvents() {
  const [events, setEvents] = useState<Changes>([]);
  useChanges((changes) => setEvents((former) => [...former, ...changes.slice(-maxShown)].slice(-maxShown)));
  return (
    <section className="card wide">
      <h2>Recent events</h2>
      {events.length === 0 && <p className="quiet">Nothing has happened since this page was opened.</p>}
      <ul className="plain quiet">
        {events.toReversed().map((event) => (
          <li key={event.resumeToken + event.machineId + event.kind}>
            <Time at={event.eventTime} /> {event.kind.replaceAll("_", " ")}{" "}
            <span className="mono">{(event.machineId || event.enrolmentId).slice(0, 8)}</span>
            {event.actor !== "" && (
              <>
                {" by "}
                <SafeText text={event.actor} limit={40} />
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
