/** What the fleet is doing, and what needs somebody. */
import { type FleetGroup, type FleetSample, FleetService } from "@api/fleet_service_pb.js";
import { MachineState } from "@api/machine_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useId, useState } from "react";
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount, formatFigure } from "../../ui/format.ts";
import { findField } from "../../ui/keyboard.tsx";
import { stateRows, underWayStates } from "../../ui/machine-state.tsx";
import { Time } from "../../ui/time.tsx";
import { Overdue, RecentlyFailed } from "./attention.tsx";
import { Needs } from "./needs.tsx";
import { PlaceBars } from "./place-bars.tsx";
import { countIn, toPlaces } from "./places.ts";
import { RecentEvents } from "./recent-events.tsx";

const LastHour = lazy(async () => ({ default: (await import("./last-hour.tsx")).LastHour }));

/** The server counts at most every 15 s. */
const refreshMs = 15_000;

/** The page at /. */
export function OverviewPage() {
  const { by } = useSearch({ from: "/" });
  const query = useQuery(
    FleetService.method.getFleet,
    { labelKeys: by === undefined ? [] : [by] },
    { refetchInterval: refreshMs, placeholderData: (former) => former },
  );
  const groups = query.data?.groups ?? [];
  // What else the page asks for and draws would only keep the count from coming and from being shown.
  const isFirst = query.isPending && query.failureCount === 0;
  return (
    <>
      <h1>Overview</h1>
      <QueryError query={query} />
      <Figures groups={query.data?.groups} />
      <div className="overview">
        {query.data !== undefined && <Needs fleet={query.data} />}
        <Overdue isWanted={!isFirst} />
        <RecentlyFailed isWanted={!isFirst} />
        <section className="card wide">
          <h2>Machines by {by === undefined ? "place" : "label"} and state</h2>
          <GroupBy />
          {query.isSuccess && groups.length === 0 && (
            <p>
              There are no machines yet. <code>bmaas simulate</code> fills the fleet to look at it.
            </p>
          )}
          {/* What was counted for another label says nothing of this one. */}
          {query.isPlaceholderData ? <p className="quiet">Counting…</p> : <PlaceBars places={toPlaces(groups, by)} />}
          {query.data !== undefined && !query.isPlaceholderData && (
            <p className="quiet">
              Counted <Time at={query.data.countTime} as="age" />.
            </p>
          )}
        </section>
        <RecentEvents isWanted={!isFirst} />
        <section className="card wide">
          <h2>The last hour</h2>
          <Suspense fallback={loadingCurves}>{isFirst ? loadingCurves : <LastHour />}</Suspense>
        </section>
      </div>
    </>
  );
}

const loadingCurves = <p className="quiet">Loading the curves…</p>;

/** Shows the newest sample, which the server has at hand, until the fleet has been counted. */
function Figures({ groups }: { readonly groups: readonly FleetGroup[] | undefined }) {
  const samples = useQuery(FleetService.method.listFleetSamples, {}, { refetchInterval: 2 * refreshMs });
  const newest: FleetSample | undefined = samples.data?.samples.at(-1);
  const rate = newest?.heartbeatsPerSecond;
  const counts = groups ?? newest?.states;
  const count = (states?: readonly MachineState[]) =>
    counts === undefined ? "–" : formatCount(countIn(counts, states));
  const inStates = (name: string, states: readonly MachineState[]) =>
    [name, count(states), states.map((state) => `state=${stateRows[state].name}`)] as const;
  const figures: readonly (readonly [name: string, value: string, filter?: readonly string[]])[] = [
    ["machines", count(), []],
    ["heartbeats per second", rate === undefined ? "–" : formatFigure(rate)],
    inStates("installations under way", underWayStates),
    inStates("overdue", [MachineState.INSTALLATION_OVERDUE]),
    inStates("failed", [MachineState.INSTALLATION_FAILED]),
    inStates("stale: agent silent", [MachineState.STALE]),
  ];
  return (
    <dl className="figures" aria-busy={counts === undefined}>
      {figures.map(([name, value, filter]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {filter === undefined ? (
              value
            ) : (
              <Link to="/machines" search={filter.length > 0 ? { filter: [...filter] } : {}}>
                {value}
                <span className="visually-hidden"> {name}</span>
              </Link>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function GroupBy() {
  const { by } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const [key, setKey] = useState(by ?? "");
  useEffect(() => setKey(by ?? ""), [by]);
  const id = useId();
  return (
    <form
      className="toolbar"
      onSubmit={(event) => {
        event.preventDefault();
        void navigate({ search: key.trim() === "" ? {} : { by: key.trim() } });
      }}
    >
      <label htmlFor={id}>Group by label</label>
      <input
        id={id}
        value={key}
        placeholder="provider and location"
        onChange={(event) => setKey(event.target.value)}
        autoComplete="off"
        {...findField}
      />
      <button type="submit">Group</button>
    </form>
  );
}
