/** What the fleet is doing, and what needs somebody. */
import { FleetService } from "@api/fleet_service_pb.js";
import { MachineState } from "@api/machine_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useId, useState } from "react";
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount, formatFigure } from "../../ui/format.ts";
import { findField } from "../../ui/keyboard.tsx";
import { underWayStates } from "../../ui/machine-state.tsx";
import { Time } from "../../ui/time.tsx";
import { Overdue, RecentlyFailed } from "./attention.tsx";
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
  return (
    <>
      <h1>Overview</h1>
      <QueryError query={query} />
      <Figures groups={groups} />
      <div className="overview">
        <Overdue />
        <RecentlyFailed />
        <section className="card wide">
          <h2>Machines by {by === undefined ? "place" : "label"} and state</h2>
          <GroupBy />
          {query.isSuccess && groups.length === 0 && (
            <p>
              There are no machines yet. <code>bmaas simulate</code> fills the fleet to look at it.
            </p>
          )}
          <PlaceBars places={toPlaces(groups, by)} />
          {query.data !== undefined && (
            <p className="quiet">
              Counted <Time at={query.data.countTime} as="age" />.
            </p>
          )}
        </section>
        <RecentEvents />
        <section className="card wide">
          <h2>The last hour</h2>
          <Suspense fallback={<p className="quiet">Loading the curves…</p>}>
            <LastHour />
          </Suspense>
        </section>
      </div>
    </>
  );
}

function Figures({ groups }: { readonly groups: Parameters<typeof countIn>[0] }) {
  const samples = useQuery(FleetService.method.listFleetSamples, {}, { refetchInterval: 2 * refreshMs });
  const rate = samples.data?.samples.at(-1)?.heartbeatsPerSecond;
  const total = groups.reduce((sum, { machines }) => sum + Number(machines), 0);
  const figures = [
    ["machines", formatCount(total)],
    ["heartbeats per second", rate === undefined ? "–" : formatFigure(rate)],
    ["installations under way", formatCount(countIn(groups, underWayStates))],
    ["overdue", formatCount(countIn(groups, [MachineState.INSTALLATION_OVERDUE]))],
    ["failed", formatCount(countIn(groups, [MachineState.INSTALLATION_FAILED]))],
    ["silent", formatCount(countIn(groups, [MachineState.STALE]))],
  ] as const;
  return (
    <dl className="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function GroupBy() {
  const { by } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const [key, setKey] = useState(by ?? "");
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
