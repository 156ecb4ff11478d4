/** Sets which provider made a machine available. */
import { MachineService } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { TextField } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

/** Fields, their labels and their options of the command line. */
const fields = [
  ["provider", "Provider", "--provider"],
  ["providerId", "Provider's id of the machine", "--provider-id"],
  ["location", "Location (optional)", "--location"],
  ["reservation", "Reservation (optional)", "--reservation"],
  ["address", "Address (optional)", "--address"],
] as const;

/** Asks for the provider's data of a machine that has none. */
export function ProvidedDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const [provided, setProvided] = useState({
    provider: "",
    providerId: "",
    location: "",
    reservation: "",
    address: "",
  });
  const options = fields.flatMap(([name, , option]) => {
    const isNeeded = name === "provider" || name === "providerId";
    const value = provided[name] || (isNeeded ? (name === "provider" ? "NAME" : "PROVIDER_ID") : "");
    return value === "" ? [] : [option, value];
  });
  return (
    <ActionDialog
      action="Provide"
      targets={targets}
      command={`bmaas machines set-provided ${targets.words} ${toCommand(...options)}`}
      onClose={onClose}
      prepare={() => {
        if (provided.provider === "" || provided.providerId === "") {
          return "Write the provider's name and its id of the machine.";
        }
        const client = createClient(MachineService, transport);
        return actOnOne(({ machineId }) => client.setProvided({ machineId, provided }));
      }}
    >
      {fields.map(([name, label]) => (
        <TextField
          key={name}
          label={label}
          value={provided[name]}
          onChange={(value) => setProvided({ ...provided, [name]: value })}
        />
      ))}
    </ActionDialog>
  );
}
