/** Holds machines, so that nothing is installed on them, and releases them. */

import { BatchMode } from "@api/batch_pb.js";
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { TextField } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { useClock } from "../ui/time.tsx";
import { ActionDialog } from "./action-dialog.tsx";
import { ChangedNote } from "./changed-note.tsx";
import { batchSize, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";

const minuteMs = 60_000;

/** Asks why and until when, and holds the machines. */
export function HoldDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [until, setUntil] = useState("");
  const [isMuted, setIsMuted] = useState(false);
  // The time that is left while the dialog is open is less than it was when the end was chosen.
  const minutesFrom = (nowMs: number) =>
    until === "" ? undefined : Math.ceil((new Date(until).getTime() - nowMs) / minuteMs);
  const minutesShown = useClock(minutesFrom);
  const command = [
    `bmaas machines hold ${targets.words} --reason ${toCommand(reason.trim() || "TEXT")}`,
    ticket.trim() !== "" && `--ticket ${toCommand(ticket.trim())}`,
    minutesShown !== undefined && minutesShown > 0 && `--for ${minutesShown}m`,
    isMuted && "--mute",
  ];
  return (
    <ActionDialog
      action="Hold"
      targets={targets}
      partSize={batchSize}
      command={command.filter(Boolean).join(" ")}
      onClose={onClose}
      prepare={() => {
        const minutes = minutesFrom(Date.now());
        if (reason.trim() === "") return "Write why the machines are held: other operators will ask.";
        if (minutes !== undefined && !(minutes > 0)) return "The hold would end in the past: choose a later time.";
        const client = createClient(MachineService, transport);
        const end =
          minutes === undefined
            ? undefined
            : ({ case: "duration", value: durationFromMs(minutes * minuteMs) } as const);
        const hold = { reason: reason.trim(), ticket: ticket.trim(), mute: isMuted, ...(end && { end }) };
        return async (part) => {
          const { failedRequests } = await client.batchSetHolds({
            requests: part.map(({ machineId }) => ({ machineId, ...hold })),
            mode: BatchMode.PARTIAL_SUCCESS,
            omitMachines: true,
          });
          return toFailures(part, failedRequests);
        };
      }}
    >
      <p>
        No installation can be requested or given while a machine is held. One that an agent has been given continues. A
        second hold replaces the first one.
      </p>
      <ChangedNote targets={targets} describe={describeHold} own={joinHold(reason, ticket)} />
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
      partSize={batchSize}
      command={`bmaas machines release ${targets.words}`}
      onClose={onClose}
      prepare={() => {
        const client = createClient(MachineService, transport);
        return async (part) => {
          const { failedRequests } = await client.batchClearHolds({
            requests: part.map(({ machineId }) => ({ machineId })),
            mode: BatchMode.PARTIAL_SUCCESS,
            omitMachines: true,
          });
          return toFailures(part, failedRequests);
        };
      }}
    >
      <ChangedNote targets={targets} describe={describeHold} own="" />
      <p>Installations can be requested again, and a pending one is given to the agent when it calls next.</p>
    </ActionDialog>
  );
}

function describeHold(machine: Machine | undefined): string {
  return machine?.hold === undefined ? "" : joinHold(machine.hold.reason, machine.hold.ticket);
}

function joinHold(reason: string, ticket: string): string {
  return [`held: ${reason.trim()}`, ticket.trim()].filter(Boolean).join(", ");
}
