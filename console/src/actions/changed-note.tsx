/** Says that somebody has changed what a dialog is about to replace. */
import type { Machine } from "@api/machine_pb.js";
import { useState } from "react";
import { useChanges } from "../live/live-provider.tsx";
import { Trouble } from "../ui/error-note.tsx";
import { formatCount } from "../ui/format.ts";
import { SafeText } from "../ui/safe-text.tsx";
import type { Targets } from "./targets.ts";

/** How many machines are named. */
const maxShown = 5;

/**
 * Shows what the machines of a dialog have now, as far as that is neither what they had when the dialog was opened nor
 * `own`, what is about to take its place. `describe` must stay the same function.
 */
export function ChangedNote(props: {
  readonly targets: Targets;
  readonly describe: (machine: Machine | undefined) => string;
  readonly own: string;
}) {
  const { targets, describe, own } = props;
  const { machines } = targets;
  const [former] = useState(() => new Map(machines.map(({ machineId, machine }) => [machineId, describe(machine)])));
  /** Of the machines that were changed. */
  const [now, setNow] = useState<ReadonlyMap<string, string>>(new Map());
  useChanges((changes) => {
    const heard = changes.flatMap(({ machineId, machine }): [string, string][] => {
      if (machine === undefined || !former.has(machineId)) return [];
      const text = describe(machine);
      return text !== former.get(machineId) || now.has(machineId) ? [[machineId, text]] : [];
    });
    if (heard.length > 0) setNow((known) => new Map([...known, ...heard]));
  });
  const changed = [...now].filter(([machineId, text]) => text !== former.get(machineId) && text !== own);
  const [first] = changed;
  if (first === undefined) return null;
  if (machines.length === 1) {
    return (
      <Trouble>
        Somebody has changed this since you began. Now it is: <Now text={first[1]} />. If you go on, that is lost.
      </Trouble>
    );
  }
  return (
    <div role="alert" className="trouble">
      <p>
        Somebody has changed this for {formatCount(changed.length)} of the machines since you began. If you go on, what
        they have now is lost:
      </p>
      <ul>
        {changed.slice(0, maxShown).map(([machineId, text]) => (
          <li key={machineId}>
            <code>{machineId}</code> <Now text={text} />
          </li>
        ))}
        {changed.length > maxShown && <li>and {formatCount(changed.length - maxShown)} more</li>}
      </ul>
    </div>
  );
}

function Now({ text }: { readonly text: string }) {
  return <SafeText text={text === "" ? "nothing" : text} />;
}
