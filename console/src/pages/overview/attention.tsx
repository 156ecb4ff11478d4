/** What needs somebody: installations that are overdue, the oldest first, and those that failed in the last hour. */
import { type Machine, MachineState } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useState } from "react";
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { MachineLink } from "../../ui/machine-link.tsx";
import { stateRows } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time, toDate } from "../../ui/time.tsx";

/** Most machines that are looked at. If there are more, the first ones tell how to ask for fewer. */
const maxMachines = 500;
/** How many of the first ones shall be left when fewer are asked for. Ids are random, so the others are like them. */
const maxKept = 50;
/** Most pages that are read. The server ends a page early when few of many machines match. */
const maxPages = 20;
/** Most machines that are listed. */
const maxShown = 8;
const refreshMs = 10_000;
const hourMs = 3_600_000;

/** Whether to ask for the list. */
interface Wanted {
  readonly isWanted: boolean;
}

/** Lists installations that are overdue. */
export function Overdue({ isWanted }: Wanted) {
  return (
    <MachineList
      isWanted={isWanted}
      title="Overdue, oldest first"
      state={MachineState.INSTALLATION_OVERDUE}
      first="oldest"
      none="No installation is overdue."
    />
  );
}

/** Lists installations that failed in the last hour. */
export function RecentlyFailed({ isWanted }: Wanted) {
  return (
    <MachineList
      isWanted={isWanted}
      title="Failed in the last hour"
      state={MachineState.INSTALLATION_FAILED}
      first="newest"
      maxAgeMs={hourMs}
      none="No installation failed in the last hour."
    />
  );
}

/** Bounds of the time that a machine has been in its state, in milliseconds. */
interface Ages {
  readonly minMs: number;
  readonly maxMs: number;
}

function enteredMs({ stateTime }: Machine): number {
  return stateTime === undefined ? 0 : toDate(stateTime).getTime();
}

function MachineList(
  props: Wanted & {
    readonly title: string;
    readonly state: MachineState;
    readonly first: "oldest" | "newest";
    readonly maxAgeMs?: number;
    readonly none: string;
  },
) {
  const { title, state, first, maxAgeMs = Number.POSITIVE_INFINITY, none, isWanted } = props;
  const all: Ages = { minMs: 0, maxMs: maxAgeMs };
  const [ages, setAges] = useState(all);
  const transport = useTransport();
  const query = useQuery({
    queryKey: ["machines in a state", state, ages],
    queryFn: ({ signal }) => listSome(transport, toFilter(state, ages), signal),
    refetchInterval: refreshMs,
    enabled: isWanted,
    placeholderData: (former) => former,
  });
  const { data, isPlaceholderData } = query;
  const machines = (data?.machines ?? [])
    .filter((machine) => machine.state === state && ageMs(machine) <= maxAgeMs)
    .sort((a, b) => (first === "oldest" ? enteredMs(a) - enteredMs(b) : enteredMs(b) - enteredMs(a)));
  const isFull = data?.isMore === true;
  const isNarrowed = ages.minMs > all.minMs || ages.maxMs < all.maxMs;
  const narrow = useEffectEvent(() => {
    const kept = machines[maxKept - 1];
    if (isFull && kept !== undefined) {
      setAges(first === "oldest" ? { ...all, minMs: ageMs(kept) } : { ...all, maxMs: ageMs(kept) });
    } else if (isNarrowed && machines.length < maxShown) setAges(all);
  });
  useEffect(() => {
    if (data !== undefined && !isPlaceholderData) narrow();
  }, [data, isPlaceholderData]);
  const shown = machines.slice(0, maxShown);
  const isMore = machines.length > shown.length || isFull || isNarrowed;
  return (
    <section className="card">
      <h2>{title}</h2>
      <QueryError query={query} />
      {query.isPending && <p className="quiet">Loading…</p>}
      {query.isSuccess && shown.length === 0 && <p className="quiet">{none}</p>}
      <ul className="plain">
        {shown.map((machine) => (
          <li key={machine.id}>
            <MachineLink machineId={machine.id} />{" "}
            <Time at={machine.stateTime} as={first === "oldest" ? "lasting" : "age"} />
            {machine.installation !== undefined && machine.installation.error !== "" && (
              <div className="quiet">
                <SafeText text={machine.installation.error} limit={120} />
              </div>
            )}
          </li>
        ))}
      </ul>
      {isMore && (
        <p>
          <Link to="/machines" search={{ filter: toConditions(state, maxAgeMs) }}>
            All {isFull || isNarrowed ? "of them" : formatCount(machines.length)}
          </Link>
        </p>
      )}
    </section>
  );
}

function ageMs(machine: Machine): number {
  return Date.now() - enteredMs(machine);
}

/** Returns machines that match, and whether there may be more. */
async function listSome(transport: Transport, filter: ReturnType<typeof toFilter>, signal: AbortSignal) {
  const client = createClient(MachineService, transport);
  const machines: Machine[] = [];
  let pageToken = "";
  for (let page = 0; page < maxPages; page++) {
    const answer = await client.listMachines({ filter, pageSize: maxMachines, pageToken }, { signal });
    machines.push(...answer.machines);
    pageToken = answer.nextPageToken;
    if (pageToken === "" || machines.length > maxMachines) break;
  }
  return { machines, isMore: pageToken !== "" };
}

function toFilter(state: MachineState, { minMs, maxMs }: Ages) {
  return {
    states: [state],
    // Whole seconds, which leave nobody out.
    ...(minMs > 0 && { minStateAge: durationFromMs(Math.floor(minMs / 1_000) * 1_000) }),
    ...(Number.isFinite(maxMs) && { maxStateAge: durationFromMs(Math.ceil(maxMs / 1_000) * 1_000) }),
  };
}

/** Returns the conditions of the machines' page for all of them. */
function toConditions(state: MachineState, maxAgeMs: number): string[] {
  const hours = maxAgeMs / hourMs;
  return [`state=${stateRows[state].name}`, ...(Number.isFinite(hours) ? [`in-state-shorter-than=${hours}h`] : [])];
}
