/** A bar for each place, with a part for each state that leads to its machines. */
import type { MachineState } from "@api/machine_pb.js";
import { Link, useNavigate } from "@tanstack/react-router";
import { formatCount } from "../../ui/format.ts";
import { nameState, stateRows, tones } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import type { Place } from "./places.ts";

/** Most places that have a bar; the rest is found by the filter of the machines' page. */
const maxPlaces = 30;

/** States in the order of the bars: what needs somebody first. */
const order: readonly MachineState[] = Object.keys(stateRows)
  .map(Number)
  .sort((a, b) => rank(a) - rank(b));

function rank(state: MachineState): number {
  return tones.indexOf(stateRows[state].tone) * 100 + state;
}

/** Shows the bars. Each part can be clicked; the links below it do the same for the keyboard, and say it in words. */
export function PlaceBars({ places }: { readonly places: readonly Place[] }) {
  return (
    <>
      <ul className="places">
        {places.slice(0, maxPlaces).map((place) => (
          <li key={place.name}>
            <div className="place-head">
              <span>
                <SafeText text={place.name} limit={80} />
              </span>
              <span className="quiet">{formatCount(place.total)}</span>
            </div>
            <Bar place={place} />
          </li>
        ))}
      </ul>
      {places.length > maxPlaces && <p className="quiet">and {formatCount(places.length - maxPlaces)} more places</p>}
    </>
  );
}

function Bar({ place }: { readonly place: Place }) {
  const navigate = useNavigate();
  const parts = order.flatMap((state) => {
    const machines = place.machines.get(state) ?? 0;
    return machines === 0 ? [] : [{ state, machines }];
  });
  return (
    <>
      <div className="bar" aria-hidden="true">
        {parts.map(({ state, machines }) => (
          // biome-ignore lint/a11y: for the pointer only; the links below do the same.
          <div
            key={state}
            className={`part ${stateRows[state].tone}`}
            style={{ flexGrow: machines }}
            title={`${nameState(state)}: ${formatCount(machines)}`}
            onClick={() => void navigate({ to: "/machines", search: toSearch(place, state) })}
          />
        ))}
      </div>
      <div className="bar-legend">
        {parts.map(({ state, machines }) => (
          <Link key={state} to="/machines" search={toSearch(place, state)}>
            {nameState(state)} {formatCount(machines)}
          </Link>
        ))}
      </div>
    </>
  );
}

/** The filter of the machines' page for the machines of a place in a state. */
function toSearch({ conditions }: Place, state: MachineState) {
  return { filter: [...conditions, `state=${stateRows[state].name}`] };
}
