/** Creates a machine, of which an operator may say what it is and by what its agent will be known. */
import { MachineService } from "@api/machine_service_pb.js";
import { useMutation } from "@connectrpc/connect-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { parseMachineId } from "../../../../src/contract/machine-id.ts";
import {
  ExpectedFields,
  ProvidedFields,
  readExpected,
  readProvided,
  toExpectedOptions,
  toProvidedOptions,
  typeExpected,
  typeProvided,
} from "../../actions/machine-fields.tsx";
import { ConfirmAction } from "../../ui/confirm-action.tsx";
import { TextField } from "../../ui/fields.tsx";
import { readLabels } from "../../ui/label-text.ts";
import { toCommand } from "../../ui/shell-words.ts";

/** Asks what is known of the machine, creates it, and opens its page. */
export function CreateMachine({ onClose }: { readonly onClose: () => void }) {
  const navigate = useNavigate();
  const [id, setId] = useState("");
  const [provided, setProvided] = useState(() => typeProvided());
  const [expected, setExpected] = useState(() => typeExpected());
  const [labels, setLabels] = useState("");
  const [mistake, setMistake] = useState<string>();
  const create = useMutation(MachineService.method.createMachine);
  const submit = () => {
    try {
      const machineId = id.trim() === "" ? "" : parseMachineId(id.trim());
      const [ofProvider, ofAgent] = [readProvided(provided), readExpected(expected)];
      if (typeof ofProvider === "string") throw new Error(ofProvider);
      if (typeof ofAgent === "string") throw new Error(ofAgent);
      const read = readLabels(labels);
      setMistake(undefined);
      const wanted = {
        ...{ machineId, labels: read },
        ...(ofProvider && { provided: ofProvider }),
        ...(ofAgent && { expected: ofAgent }),
      };
      create.mutate(wanted, {
        onSuccess: ({ machine }) =>
          void navigate({ to: "/machines/$machineId", params: { machineId: machine?.id ?? "" } }),
      });
    } catch (error) {
      const { message } = error as Error;
      setMistake(message.endsWith(".") ? message : `${message}.`);
    }
  };
  return (
    <ConfirmAction
      title="Create a machine"
      action="Create the machine"
      command={toCommand(
        ...["bmaas", "machines", "create", ...(id.trim() === "" ? [] : ["--id", id.trim()])],
        ...toProvidedOptions(provided),
        ...labels.split(/\s+/).flatMap((each) => (each === "" ? [] : ["--label", each])),
        ...toExpectedOptions(expected, "expect-"),
      )}
      isBusy={create.isPending}
      error={create.error}
      mistake={mistake}
      onClose={onClose}
      onConfirm={submit}
    >
      <TextField
        label="Id (optional)"
        isMono
        placeholder="a UUID that the server chooses"
        value={id}
        onChange={setId}
      />
      <TextField label="Labels (optional)" placeholder="rack=r12 row=3" value={labels} onChange={setLabels} />
      <fieldset>
        <legend>Who provides it (optional)</legend>
        <ProvidedFields typed={provided} onChange={setProvided} />
      </fieldset>
      <fieldset>
        <legend>By what its agent will be known when it asks to be let in</legend>
        <ExpectedFields typed={expected} onChange={setExpected} />
      </fieldset>
    </ConfirmAction>
  );
}
