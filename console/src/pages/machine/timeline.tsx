/** What happened to the machine and who did it, the newest first. It grows as things happen. */
import { type Event, HistoryService } from "@api/history_service_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { CopyableCommand } from "../../ui/copy.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

/** Events in a page of the API. */
const pageSize = 50;

/** Shows the events page by page. */
export function Timeline({ machineId }: { readonly machineId: string }) {
  const query = useInfiniteQuery(
    HistoryService.method.listEvents,
    { machineId, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  const events = query.data?.pages.flatMap((page) => page.events) ?? [];
  return (
    <section className="card wide" id="history" tabIndex={-1} aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      {query.isSuccess && events.length === 0 && <p className="quiet">Nothing is on record of this machine.</p>}
      <ol className="timeline">
        {events.map((event, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: events have no id, and rows keep no state.
          <EventRow key={index} event={event} />
        ))}
      </ol>
      {query.hasNextPage && (
        <p>
          <button type="button" onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
            {query.isFetchingNextPage ? "Loading…" : "Older events"}
          </button>
        </p>
      )}
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
            <SafeText text={shortenKey(actor)} limit={80} />
          </span>
        )}
        {names.length > 0 && (
          <div className="details">
            {names.map((name) => (
              <span key={name}>
                <span className="quiet">
                  <SafeText text={name} limit={60} />
                </span>{" "}
                <SafeText text={detail[name] ?? ""} limit={120} />
              </span>
            ))}
          </div>
        )}
      </div>
    </li>
  );
}

/** Shortens the 64 digits of an agent's key, which the page shows in full elsewhere. */
function shortenKey(actor: string): string {
  return actor.replace(/^(agent:[0-9a-f]{12})[0-9a-f]{52}$/, "$1…");
}
