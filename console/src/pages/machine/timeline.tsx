/** What happened to the machine and who did it, the newest first. It grows as things happen. */
import { type Event, HistoryService } from "@api/history_service_pb.js";
import { useMemo } from "react";
import { CopyableCommand } from "../../ui/copy.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { ReadOn } from "../../ui/paged-table.tsx";
import { Actor, SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";

/** Events in a page of the API. */
const pageSize = 50;

const pick = (answer: { readonly events: readonly Event[] }) => answer.events;

/** Shows the events page by page. */
export function Timeline({ machineId }: { readonly machineId: string }) {
  const request = useMemo(() => ({ machineId }), [machineId]);
  const pages = usePages({ method: HistoryService.method.listEvents, request, pick, pageSize });
  const { rows: events, error, retry, isPending } = pages;
  return (
    <section className="card wide" id="history" tabIndex={-1} aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      {error !== null && <ErrorNote error={error} onRetry={retry} />}
      {!isPending && error === null && events.length === 0 && (
        <p className="quiet">Nothing is on record of this machine.</p>
      )}
      <ol className="timeline">
        {events.map((event) => (
          <EventRow key={event.id} event={event} />
        ))}
      </ol>
      <ReadOn pages={pages} what="Older events" />
      <CopyableCommand command={`bmaas history ${machineId}`} />
    </section>
  );
}

function EventRow({ event: { eventTime, kind, actor, detail } }: { readonly event: Event }) {
  const names = Object.keys(detail).sort(
    (a, b) => Number(b === "generation") - Number(a === "generation") || (a < b ? -1 : 1),
  );
  return (
    <li>
      <Time at={eventTime} />
      <div>
        <b>
          <SafeText text={kind.replaceAll("_", " ")} limit={80} />
        </b>
        {actor !== "" && (
          <span className="quiet">
            {" by "}
            <Actor name={actor} />
          </span>
        )}
        {names.length > 0 && (
          <div className="details">
            {names.map((name) => (
              <span key={name}>
                <span className="quiet">
                  <SafeText text={name} limit={60} />
                </span>{" "}
                <DetailText text={detail[name] ?? ""} />
              </span>
            ))}
          </div>
        )}
      </div>
    </li>
  );
}

/** A time as details have it: "2026-03-01T12:00:00.000Z". */
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Shows a time in the reader's zone, and whatever else it is as text. */
function DetailText({ text }: { readonly text: string }) {
  const date = instant.test(text) ? new Date(text) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) return <SafeText text={text} limit={120} />;
  return <Time at={date} />;
}
