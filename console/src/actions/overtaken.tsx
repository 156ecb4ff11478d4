/** What others have requested of machines while somebody writes a request of their own. */
import type { Installation } from "@api/installation_pb.js";
import { useState } from "react";
import { useChanges } from "../live/live-provider.tsx";
import { Trouble } from "../ui/error-note.tsx";
import { formatCount } from "../ui/format.ts";
import { nameInstallationState } from "../ui/installation-state.tsx";
import { SafeText } from "../ui/safe-text.tsx";
import type { Targets } from "./targets.ts";

/** Newest installations that are newer than those that the machines had when they were selected, by machine. */
export type Overtaken = ReadonlyMap<string, Installation>;

/** Returns what is requested of the machines from now on, by whomever. */
export function useOvertaken({ machines }: Targets): Overtaken {
  const [overtaken, setOvertaken] = useState<Overtaken>(new Map());
  const [selected] = useState(() => new Map(machines.map(({ machineId, generation }) => [machineId, generation])));
  useChanges((changes) => {
    const newer = changes.flatMap(({ machineId, machine }): [string, Installation][] => {
      const generation = selected.get(machineId);
      const installation = machine?.installation;
      const isNewer = generation !== undefined && installation !== undefined && installation.generation > generation;
      return isNewer ? [[machineId, installation]] : [];
    });
    if (newer.length > 0) setOvertaken((former) => new Map([...former, ...newer]));
  });
  return overtaken;
}

/** How many installations are named. */
const maxShown = 5;

/** Says what others have requested. `announced` are the installations that somebody is asked about: their own. */
export function OvertakenNote(props: {
  readonly overtaken: Overtaken;
  readonly announced: ReadonlyMap<string, Installation>;
}) {
  const { overtaken, announced } = props;
  const others = [...overtaken.values()].filter(({ machineId, generation }) => {
    const own = announced.get(machineId);
    return own !== undefined && own.generation !== generation;
  });
  if (others.length === 0) return null;
  return (
    <>
      <Trouble>Since you began, installations were requested that this would replace, or wipe again:</Trouble>
      <ul>
        {others.slice(0, maxShown).map(({ machineId, generation, state, requester }) => (
          <li key={machineId}>
            <code>{machineId}</code> generation {formatCount(generation)}, {nameInstallationState(state)}, by{" "}
            <SafeText text={requester} limit={80} />
          </li>
        ))}
        {others.length > maxShown && <li>and {formatCount(others.length - maxShown)} more</li>}
      </ul>
    </>
  );
}
