/** Says by what a machine will be known when its agent enrols. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { ChangedNote } from "./changed-note.tsx";
import { ExpectedFields, readExpected, toExpectedOptions, typeExpected } from "./machine-fields.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

/** Asks for the facts, which take the place of those that were expected before. */
export function ExpectedDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const former = targets.machines[0]?.machine?.expected;
  const [typed, setTyped] = useState(() => typeExpected(former));
  const options = toExpectedOptions(typed);
  return (
    <ActionDialog
      action="Set what is expected"
      preposition="of"
      targets={targets}
      command={`bmaas machines expect ${targets.words} ${toCommand(...(options.length > 0 ? options : ["--clear"]))}`}
      onClose={onClose}
      prepare={() => {
        const expected = readExpected(typed);
        if (typeof expected === "string") return expected;
        if (expected === undefined && former === undefined) return "Write at least one of them.";
        const client = createClient(MachineService, transport);
        return actOnOne(({ machineId }) => client.setExpected({ machineId, ...(expected && { expected }) }));
      }}
    >
      <p>
        When an agent asks to be let in from a machine with these, it is known as this machine.
        {former !== undefined && " With all of them empty, nothing is expected any more."}
      </p>
      <ChangedNote targets={targets} describe={describeExpected} own={toExpectedOptions(typed).join(" ")} />
      <ExpectedFields typed={typed} onChange={setTyped} />
    </ActionDialog>
  );
}

function describeExpected(machine: Machine | undefined): string {
  return toExpectedOptions(typeExpected(machine?.expected)).join(" ");
}
