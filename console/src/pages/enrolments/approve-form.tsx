/** Lets an agent in: as the agent of a new machine or of one that exists. */
import type { Enrolment } from "@api/enrolment_pb.js";
import { EnrolmentService } from "@api/enrolment_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useMutation } from "@connectrpc/connect-query";
import { useState } from "react";
import { parseMachineId } from "../../../../src/contract/machine-id.ts";
import { useAskAgain } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { Button } from "../../ui/button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { ErrorNote, Trouble } from "../../ui/error-note.tsx";
import { TextField, Tick } from "../../ui/fields.tsx";
import { readLabels } from "../../ui/label-text.ts";
import { toCommand } from "../../ui/shell-words.ts";

/** Shows the form. The answer changes the enrolment, and with it what stands around the form. */
export function ApproveForm({ enrolment }: { readonly enrolment: Enrolment }) {
  const { id: enrolmentId, expectedMachineId, lookalikes } = enrolment;
  const { reason } = useMay(Role.OPERATOR);
  const askAgain = useAskAgainAboutEnrolments();
  const approve = useMutation(EnrolmentService.method.approveEnrolment, { onSettled: askAgain });
  const [machineId, setMachineId] = useState(expectedMachineId);
  const [labels, setLabels] = useState("");
  const [replaceKey, setReplaceKey] = useState(false);
  const [allowDuplicate, setAllowDuplicate] = useState(false);
  const [duringInstallation, setDuringInstallation] = useState(false);
  const [mistake, setMistake] = useState<string>();
  const known = [...new Set([expectedMachineId, ...lookalikes.map((each) => each.machineId)])].filter(Boolean);
  const isNamed = machineId.trim() !== "";
  // What only a named machine can have is not sent for a new one.
  const ticks = {
    replaceKey: replaceKey && isNamed,
    allowDuplicate,
    duringInstallation: duringInstallation && isNamed,
  };
  const command = toCommand(
    ...["bmaas", "enrolments", "approve", enrolmentId],
    ...(isNamed ? ["--machine", machineId.trim()] : []),
    ...labels.split(/\s+/).flatMap((each) => (each === "" ? [] : ["--label", each])),
    ...(ticks.replaceKey ? ["--replace-key"] : []),
    ...(ticks.duringInstallation ? ["--during-installation"] : []),
    ...(ticks.allowDuplicate ? ["--allow-duplicate"] : []),
  );
  const submit = () => {
    try {
      const target = isNamed ? parseMachineId(machineId.trim()) : "";
      const read = readLabels(labels);
      setMistake(undefined);
      approve.mutate({ enrolmentId, machineId: target, labels: read, ...ticks });
    } catch (error) {
      setMistake(`${(error as Error).message}.`);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (reason === undefined && !approve.isPending) submit();
      }}
    >
      <h2>Let it in</h2>
      <TextField
        label="Machine"
        isMono
        value={machineId}
        placeholder="a new machine"
        suggestions={known}
        onChange={setMachineId}
      />
      <TextField label="Labels" value={labels} placeholder="rack=r12 row=3" onChange={setLabels} />
      {isNamed && (
        <Tick name="Replace the key" isOn={replaceKey} onChange={setReplaceKey}>
          The key that the machine has now stops working at once, and its agent with it.
        </Tick>
      )}
      {isNamed && (
        <Tick name="Also during an installation" isOn={duringInstallation} onChange={setDuringInstallation}>
          The agent of that key was given an installation that is not finished. Nobody hears how it ends.
        </Tick>
      )}
      <Tick name="Allow a duplicate" isOn={allowDuplicate} onChange={setAllowDuplicate}>
        Another machine has the serial number, the UUID or an address of this one. Only one of them can be right.
      </Tick>
      <CopyableCommand command={command} />
      {mistake !== undefined && <Trouble>{mistake}</Trouble>}
      {approve.isError && <ErrorNote error={approve.error} />}
      <div className="actions">
        {reason !== undefined && <span className="quiet">{reason}</span>}
        <Button type="submit" className="primary" isInert={reason !== undefined || approve.isPending}>
          {approve.isPending ? "Working…" : isNamed ? "Approve onto this machine" : "Approve as a new machine"}
        </Button>
      </div>
    </form>
  );
}

/**
 * Returns what asks again for the enrolments that are shown, after a decision about one: also while there is no stream
 * that tells of it.
 */
export function useAskAgainAboutEnrolments(): () => void {
  const one = useAskAgain(EnrolmentService.method.getEnrolment);
  const list = useAskAgain(EnrolmentService.method.listEnrolments);
  return () => {
    void one();
    void list();
  };
}
