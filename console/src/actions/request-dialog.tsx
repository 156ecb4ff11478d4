/** Requests installations: first asks what and on which disk, then which disks that would wipe. */

import { BatchMode } from "@api/batch_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { diskTerms } from "../../../src/contract/disk-selector.ts";
import { ConfirmAction } from "../ui/confirm-action.tsx";
import { FileField, SelectField, TextArea, TextField } from "../ui/fields.tsx";
import { nameTargets } from "./action-dialog.tsx";
import { IdsFile } from "./ids-file.tsx";
import { useOvertaken } from "./overtaken.tsx";
import { ForceTick } from "./refused-dialog.tsx";
import { batchSize, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";
import { describeCommand, nothingWanted, toTarget, type Wanted } from "./wanted.ts";
import { type Wipe, WipeDialog } from "./wipe-dialog.tsx";

/** What can be installed, and what there is to say of its image. */
const kinds = {
  image: {
    name: "a disk image",
    hint: "The http or https URL from which the agent fetches it.",
    placeholder: "https://images.example/debian-13.img",
    digestHint: "sha256: and the digits of sha256sum.",
  },
  metropolis: {
    name: "a Metropolis node",
    hint: "HOST/REPOSITORY[:TAG] in an OCI registry.",
    placeholder: "registry.example/metropolis:v1",
    digestHint: "sha256: and the digits of the image's.",
  },
} as const;

const kindChoices = Object.entries(kinds).map(([kind, { name }]) => [kind, name] as const);

const diskHint =
  "By what it is: only, smallest, largest, serial=…, wwn=0x…, nvme, ssd, min-size=400GB; separated by commas.";

/** Asks what to install, and requests it. */
export function RequestDialog(props: {
  readonly targets: Targets;
  /** Replace the open installation, even if an agent has been given it. */
  readonly supersede?: boolean;
  readonly onClose: () => void;
}) {
  const { targets, supersede = false, onClose } = props;
  const [wanted, setWanted] = useState(nothingWanted);
  const [mistake, setMistake] = useState<string>();
  const [isSure, setIsSure] = useState(false);
  const overtaken = useOvertaken(targets);
  const wipe = useRequest(wanted, supersede, targets.machines.length > 1);
  const partSize = targets.machines.length > 1 ? batchSize : 1;
  if (isSure) {
    const own = { targets, partSize, wipe, overtaken, onClose };
    return <WipeDialog action="Install" {...own} onBack={() => setIsSure(false)} />;
  }
  const change = (changed: Partial<Wanted>) => {
    setWanted({ ...wanted, ...changed });
    setMistake(undefined);
  };
  const { hint, placeholder, digestHint } = kinds[wanted.kind];
  const goOn = () => {
    try {
      toTarget(wanted);
      setIsSure(true);
    } catch (error) {
      setMistake((error as Error).message);
    }
  };
  return (
    <ConfirmAction
      title={`Install on ${nameTargets(targets)}`}
      action="Go on: which disk?"
      command={describeCommand(targets, wanted, supersede)}
      isBusy={false}
      error={undefined}
      mistake={mistake}
      note={<IdsFile targets={targets} />}
      onClose={onClose}
      onConfirm={goOn}
    >
      {supersede && <p>This replaces the open installation, even if the agent is already installing it.</p>}
      <SelectField
        label="What"
        value={wanted.kind}
        choices={kindChoices}
        onChange={(kind) => change({ kind: kind === "image" ? "image" : "metropolis" })}
      />
      <TextField
        label="Image"
        hint={hint}
        placeholder={placeholder}
        value={wanted.image}
        onChange={(image) => change({ image })}
      />
      <TextField
        label="Digest"
        hint={digestHint}
        placeholder="sha256:…"
        isMono
        value={wanted.digest}
        onChange={(digest) => change({ digest })}
      />
      <TextField
        label="Disk, which is wiped"
        hint={diskHint}
        placeholder="smallest,nvme"
        suggestions={diskTerms}
        value={wanted.disk}
        onChange={(disk) => change({ disk })}
      />
      {wanted.kind === "image" ? (
        <TextArea
          label="User data (optional)"
          hint="For the installed system, such as cloud-init's."
          rows={3}
          value={wanted.userData}
          onChange={(userData) => change({ userData })}
        />
      ) : (
        <FileField
          label="Node parameters"
          hint="A file with the NodeParameters in protobuf's binary form."
          {...(wanted.nodeParameters && { chosen: wanted.nodeParameters.name })}
          onChange={(nodeParameters) => change({ nodeParameters })}
        />
      )}
      <ForceTick isOn={wanted.force} onChange={(force) => change({ force })} />
    </ConfirmAction>
  );
}

/** Returns the request for machines: a batch for many, which counts as automatic, and one call for one. */
function useRequest(wanted: Wanted, supersedeGiven: boolean, isBatch: boolean): Wipe {
  const client = createClient(InstallationService, useTransport());
  return async (part, { validateOnly, findConfirmed, isForced }) => {
    const target = toTarget(wanted);
    const requests = part.map(({ machineId }) => {
      const confirmed = findConfirmed(machineId);
      return {
        ...{ machineId, target, supersedeGiven },
        force: wanted.force || isForced(machineId),
        expectedDisk: confirmed?.disk?.id ?? "",
        // Whoever has requested another one since has taken this generation, and the server refuses it.
        generation: confirmed?.generation ?? 0n,
      };
    });
    if (isBatch) {
      const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS, validateOnly };
      const { installations, failedRequests } = await client.batchRequestInstallations(batch);
      return { installations, failures: toFailures(part, failedRequests) };
    }
    const [request = {}] = requests;
    const { installation } = await client.requestInstallation({ ...request, validateOnly });
    return { installations: installation === undefined ? [] : [installation], failures: [] };
  };
}
