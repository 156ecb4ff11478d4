/** Holds machines, so that nothing is installed on them, and releases them. */

import { MachineService } from "@api/machine_service_pb.js";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { TextField } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

const minuteMs = 60_000;

/** Asks why and until when, and holds the machines. */
export function HoldDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [until, setUntil] = useState("");
  const [isMuted, setIsMuted] = useState(false);
  const minutes = until === "" ? undefined : Math.ceil((new Date(until).getTime() - Date.now()) / minuteMs);
  const command = [
    `bmaas machines hold ${targets.words} --reason ${toCommand(reason.trim() || "TEXT")}`,
    ticket.trim() !== "" && `--ticket ${toCommand(ticket.trim())}`,
    minutes !== undefined && minutes > 0 && `--for ${minutes}m`,
    isMuted && "--mute",
  ];
  return (
    <ActionDialog
      action="Hold"
      targets={targets}
      command={command.filter(Boolean).join(" ")}
      onClose={onClose}
      prepare={() => {
        if (reason.trim() === "") return "Write why the machines are held: other operators will ask.";
        if (minutes !== undefined && !(minutes > 0)) return "The hold would end in the past: choose a later time.";
        const client = createClient(MachineService, transport);
        const end =
          minutes === undefined
            ? undefined
            : ({ case: "duration", value: durationFromMs(minutes * minuteMs) } as const);
        const hold = { reason: reason.trim(), ticket: ticket.trim(), mute: isMuted, ...(end && { end }) };
        return actOnOne(({ machineId }) => client.setHold({ machineId, ...hold }));
      }}
    >
      <p>
        No installation can be requested or given while a machine is held. One that an agent has been given continues. A
        second hold replaces the first one.
      </p>
      <TextField label="Reason" value={reason} maxLength={255} onChange={setReason} />
      <TextField
        label="Ticket (optional)"
        hint="Where the work is tracked, such as a URL."
        value={ticket}
        maxLength={255}
        onChange={setTicket}
      />
      <TextField
        label="Until (optional)"
        hint="Without a time, until somebody releases it."
        type="datetime-local"
        value={until}
        onChange={setUntil}
      />
      <p>
        <label>
          <input type="checkbox" checked={isMuted} onChange={(event) => setIsMuted(event.target.checked)} /> Leave them
          out of alerts as well
        </label>
      </p>
    </ActionDialog>
  );
}

/** Asks, and releases the machines. */
export function ReleaseDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  return (
    <ActionDialog
      action="Release"
      targets={targets}
      command={`bmaas machines release ${targets.words}`}
      onClose={onClose}
      prepare={() => {
        const client = createClient(MachineService, transport);
        return actOnOne(({ machineId }) => client.clearHold({ machineId }));
      }}
    >
      <p>Installations can be requested again, and a pending one is given to the agent when it calls next.</p>
    </ActionDialog>
  );
}
