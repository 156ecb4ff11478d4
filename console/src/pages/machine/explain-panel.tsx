/** Why the machine is in its state, what happens next, and what an operator can do: first and large. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService, type Remedy } from "@api/machine_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { Link } from "@tanstack/react-router";
import { findAction } from "../../actions/action-rows.ts";
import { useRefreshAt } from "../../live/use-refresh-at.ts";
import { CopyableCommand } from "../../ui/copy.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { stateRows, type Tone, tones } from "../../ui/machine-state.tsx";
import { ServerText } from "../../ui/server-text.tsx";
import { toneOfIssue } from "../../ui/severity.tsx";
import { Time } from "../../ui/time.tsx";
import { MachineActionButton, type OnAct } from "./actions.tsx";

/** The explanation says how long something has lasted, so it is asked for again. */
const refreshMs = 10_000;

/** Commands that show what the page shows too, and where. */
const places: readonly (readonly [RegExp, id: string, name: string])[] = [
  [/^bmaas history /, "history", "History"],
  [/^bmaas hardware /, "hardware", "Hardware"],
  [/^bmaas machines health /, "health", "Health alerts"],
];

/** Shows the explanation, with a button for each remedy that the page can carry out, and a command for each. */
export function ExplainPanel({ machine, onAct }: { readonly machine: Machine; readonly onAct: OnAct }) {
  const query = useQuery(
    MachineService.method.explainMachine,
    { machineId: machine.id },
    { refetchInterval: refreshMs },
  );
  const explanation = query.data;
  useRefreshAt([MachineService.method.explainMachine], [explanation?.nextTime]);
  return (
    <section className={`explain ${toneOf(machine)}`} aria-label="What is with this machine">
      <QueryError query={query} />
      {explanation === undefined && !query.isError && <p className="quiet">Asking the server…</p>}
      {explanation !== undefined && (
        <>
          <p className="condition">
            <ServerText text={toSentence(explanation.condition)} />
          </p>
          {explanation.next !== "" && (
            <p>
              Next: <ServerText text={explanation.next} />
              {explanation.nextTime !== undefined && (
                <>
                  {" ("}
                  <Time at={explanation.nextTime} as="age" />)
                </>
              )}
              .
            </p>
          )}
          {explanation.remedies.length > 0 && <h2>What you can do</h2>}
          <ol className="remedies">
            {explanation.remedies.map((remedy) => (
              <RemedyRow key={remedy.description} remedy={remedy} machine={machine} onAct={onAct} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** Returns how the machine is to be taken: by its state and by what is wrong with it, whichever is worse. */
function toneOf({ state, issues, hold }: Machine): Tone {
  const all = [
    stateRows[state]?.tone ?? "calm",
    ...issues.map(({ severity }) => toneOfIssue(severity)),
    ...(hold === undefined ? [] : (["warn"] as const)),
  ];
  return tones.find((tone) => all.includes(tone)) ?? "calm";
}

function RemedyRow(props: { readonly remedy: Remedy; readonly machine: Machine; readonly onAct: OnAct }) {
  const { remedy, machine, onAct } = props;
  const { description, command } = remedy;
  const action = findAction(command);
  const enrolmentId = /^bmaas enrolments approve ([0-9a-f-]{36}) /.exec(command)?.[1];
  const place = places.find(([pattern]) => pattern.test(command));
  return (
    <li>
      <p>
        <ServerText text={toSentence(description)} />
      </p>
      <div className="do">
        {action !== undefined && <MachineActionButton name={action} machine={machine} onAct={onAct} />}
        {place !== undefined && (
          <button type="button" onClick={() => goTo(place[1])}>
            {place[2]}
          </button>
        )}
        {enrolmentId !== undefined && (
          <Link to="/enrolments" search={{ open: enrolmentId }}>
            The enrolment
          </Link>
        )}
        {command !== "" && <CopyableCommand command={command} />}
      </div>
    </li>
  );
}

function goTo(id: string): void {
  const place = document.getElementById(id);
  place?.scrollIntoView();
  place?.focus({ preventScroll: true });
}

function toSentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
