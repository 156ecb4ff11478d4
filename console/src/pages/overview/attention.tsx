/** What needs somebody: installations that are overdue, the oldest first, and those that failed in the last hour. */
import { type Machine, MachineState } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { Link } from "@tanstack/react-router";
import { QueryError } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { MachineLink } from "../../ui/machine-link.tsx";
import { stateRows } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time, toDate } from "../../ui/time.tsx";

/** Most machines that are looked at. Beyond that, the list says that there are more. */
const pageSize = 500;
/** Most machines that are listed. */
const maxShown = 8;
const refreshMs = 10_000;
const hourMs = 3_600_000;

/** Lists installations that are overdue. */
export function Overdue() {
  return (
    <MachineList
      title="Overdue, oldest first"
      state={MachineState.INSTALLATION_OVERDUE}
      sort={(a, b) => enteredMs(a) - enteredMs(b)}
      none="No installation is overdue."
    />
  );
}

/** Lists installations that failed in the last hour. */
export function RecentlyFailed() {
  return (
    <MachineList
      title="Failed in the last hour"
      state={MachineState.INSTALLATION_FAILED}
      isShown={(machine) => enteredMs(machine) > Date.now() - hourMs}
      sort={(a, b) => enteredMs(b) - enteredMs(a)}
      none="No installation failed in the last hour."
    />
  );
}

function enteredMs({ stateTime }: Machine): number {
  return stateTime === undefined ? 0 : toDate(stateTime).getTime();
}

function MachineList(props: {
  readonly title: string;
  readonly state: MachineState;
  readonly isShown?: (machine: Machine) => boolean;
  readonly sort: (a: Machine, b: Machine) => number;
  readonly none: string;
}) {
  const { title, state, isShown = () => true, sort, none } = props;
  const query = useQuery(
    MachineService.method.listMachines,
    { filter: { states: [state] }, pageSize },
    { refetchInterval: refreshMs },
  );
  const machines = (query.data?.machines ?? []).filter((machine) => machine.state === state && isShown(machine));
  const shown = machines.toSorted(sort).slice(0, maxShown);
  const isMore = machines.length > shown.length || query.data?.nextPageToken;
  return (
    <section className="card">
      <h2>{title}</h2>
      <QueryError query={query} />
      {query.isSuccess && shown.length === 0 && <p className="quiet">{none}</p>}
      <ul className="plain">
        {shown.map((machine) => (
          <li key={machine.id}>
            <MachineLink machineId={machine.id} /> <Time at={machine.stateTime} as="age" />
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
          <Link to="/machines" search={{ filter: [`state=${stateRows[state].name}`] }}>
            All {query.data?.nextPageToken ? "of them" : formatCount(machines.length)}
          </Link>
        </p>
      )}
    </section>
  );
}
