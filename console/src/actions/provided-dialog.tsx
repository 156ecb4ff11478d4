/** Sets which provider makes a machine available. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { Tick } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { ChangedNote } from "./changed-note.tsx";
import {
  ProvidedFields,
  readProvided,
  type TypedProvided,
  toProvidedOptions,
  typeProvided,
} from "./machine-fields.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

/** Asks for the provider's data of a machine, which takes the place of what it has. */
export function ProvidedDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const former = targets.machines[0]?.machine?.provided;
  const [typed, setTyped] = useState(() => typeProvided(former));
  const [isNone, setIsNone] = useState(false);
  const options = toProvidedOptions(typed);
  const command = isNone ? ["--none"] : options.length > 0 ? options : ["--provider", "NAME", "--provider-id", "ID"];
  return (
    <ActionDialog
      action="Set the provider"
      preposition="of"
      targets={targets}
      command={`bmaas machines set-provided ${targets.words} ${toCommand(...command)}`}
      onClose={onClose}
      prepare={() => {
        const provided = isNone ? undefined : readProvided(typed);
        if (typeof provided === "string") return provided;
        if (provided === undefined && !isNone) return "Write the provider's name and its id of the machine.";
        const client = createClient(MachineService, transport);
        return actOnOne(({ machineId }) => client.setProvided({ machineId, ...(provided && { provided }) }));
      }}
    >
      <ChangedNote targets={targets} describe={describeProvided} own={isNone ? "" : join(typed)} />
      {!isNone && <ProvidedFields typed={typed} onChange={setTyped} />}
      {former !== undefined && (
        <Tick name="No provider makes it available any more" isOn={isNone} onChange={setIsNone}>
          All of the provider's data is taken away.
        </Tick>
      )}
    </ActionDialog>
  );
}

function describeProvided(machine: Machine | undefined): string {
  return machine?.provided === undefined ? "" : join(typeProvided(machine.provided));
}

function join(typed: TypedProvided): string {
  return Object.values(typed)
    .map((text) => text.trim())
    .filter(Boolean)
    .join(", ");
}
