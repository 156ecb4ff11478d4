/** Requests installations of a disk image: first asks what and on which disk, then which disks that would wipe. */

import { BatchMode } from "@api/batch_pb.js";
import type { DiskSelectorSchema } from "@api/installation_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useId, useState } from "react";
import { diskProtocols, diskTerms, parseDiskSelector } from "../../../src/contract/disk-selector.ts";
import { parseDigest, parseImageUrl } from "../../../src/contract/installation-rules.ts";
import { CopyableCommand } from "../ui/copy.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { parseBytes } from "../ui/format.ts";
import { toCommand } from "../ui/shell-words.ts";
import { Field, nameTargets } from "./action-dialog.tsx";
import { batchSize, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";
import { type Wipe, WipeDialog } from "./wipe-dialog.tsx";

/** What somebody has typed. */
interface Wanted {
  readonly url: string;
  readonly digest: string;
  readonly disk: string;
  readonly userData: string;
}

/** Asks what to install, and requests it. */
export function RequestDialog(props: {
  readonly targets: Targets;
  /** Replace the open installation, even if an agent has been given it. */
  readonly supersede?: boolean;
  readonly onClose: () => void;
}) {
  const { targets, supersede = false, onClose } = props;
  const [wanted, setWanted] = useState<Wanted>({ url: "", digest: "", disk: "", userData: "" });
  const [mistake, setMistake] = useState<string>();
  const [isSure, setIsSure] = useState(false);
  const wipe = useRequest(wanted, supersede, targets.machines.length > 1);
  const id = useId();
  const partSize = targets.machines.length > 1 ? batchSize : 1;
  if (isSure) {
    return <WipeDialog action="Install" targets={targets} partSize={partSize} wipe={wipe} onClose={onClose} />;
  }
  const fieldOf = (name: keyof Wanted) => ({
    id: `${id}-${name}`,
    value: wanted[name],
    spellCheck: false,
    autoComplete: "off",
    onChange: (event: { target: { value: string } }) => {
      setWanted({ ...wanted, [name]: event.target.value });
      setMistake(undefined);
    },
  });
  return (
    <Dialog title={`Install on ${nameTargets(targets)}`} onClose={onClose} closeLabel="Cancel">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          const wrong = findMistake(wanted);
          setMistake(wrong);
          setIsSure(wrong === undefined);
        }}
      >
        {supersede && <p>This replaces the open installation, even if the agent is already installing it.</p>}
        <Field id={`${id}-url`} label="Image" hint="The http or https URL from which the agent fetches it.">
          <input type="url" placeholder="https://images.example/debian-13.img" {...fieldOf("url")} />
        </Field>
        <Field id={`${id}-digest`} label="Digest" hint="sha256: and the digits of sha256sum.">
          <input placeholder="sha256:…" className="mono" {...fieldOf("digest")} />
        </Field>
        <Field
          id={`${id}-disk`}
          label="Disk, which is wiped"
          hint="By what it is: only, smallest, largest, serial=…, wwn=0x…, nvme, ssd, min-size=400GB; separated by commas."
        >
          <input list={`${id}-terms`} placeholder="smallest,nvme" {...fieldOf("disk")} />
          <datalist id={`${id}-terms`}>
            {diskTerms.map((term) => (
              <option key={term} value={term} />
            ))}
          </datalist>
        </Field>
        <Field
          id={`${id}-userData`}
          label="User data (optional)"
          hint="For the installed system, such as cloud-init's."
        >
          <textarea rows={3} {...fieldOf("userData")} />
        </Field>
        <CopyableCommand command={describeCommand(targets, wanted, supersede)} />
        <p className="quiet">A Metropolis node needs a file with its parameters: the command line requests it.</p>
        {mistake !== undefined && (
          <p role="alert" className="trouble">
            {mistake}
          </p>
        )}
        <div className="actions">
          <button type="submit" className="primary">
            Go on: which disk?
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function describeCommand(targets: Targets, { url, digest, disk, userData }: Wanted, supersede: boolean): string {
  const words = [
    `bmaas install request ${targets.words} --image ${toCommand(url.trim() || "URL")}`,
    `--digest ${toCommand(digest.trim() || "DIGEST")} --disk ${toCommand(disk.trim() || "DISK")}`,
    userData !== "" && "--user-data FILE",
    supersede && "--supersede",
  ];
  return words.filter(Boolean).join(" ");
}

/** Returns what is wrong with a field. */
function findMistake({ url, digest, disk }: Wanted): string | undefined {
  const checks = [
    ["The image", () => parseImageUrl(url.trim())],
    ["The digest", () => parseDigest(digest.trim())],
    ["The disk", () => readDisk(disk)],
  ] as const;
  for (const [name, check] of checks) {
    try {
      check();
    } catch (error) {
      return `${name} ${(error as Error).message}.`;
    }
  }
  return undefined;
}

/** Reads how the disk is named, as `--disk` of the command line does. Throws an error that says what is wrong. */
function readDisk(text: string): {
  readonly rootDevice: string;
  readonly disk?: MessageInitShape<typeof DiskSelectorSchema>;
} {
  const selector = parseDiskSelector(text.trim(), parseBytes);
  const { kernelName, serialNumber, wwn, path, model, minBytes, maxBytes, rotational, protocol, pick } = selector;
  if (kernelName !== undefined) {
    if (Object.keys(selector).length > 1)
      throw new Error("has a name beside other terms; a name alone says which disk");
    return { rootDevice: kernelName };
  }
  const disk = {
    ...(serialNumber !== undefined && { serialNumber }),
    ...(wwn !== undefined && { wwn: `0x${wwn}` }),
    ...(path !== undefined && { path }),
    ...(model !== undefined && { model }),
    ...(minBytes !== undefined && { minBytes }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(rotational !== undefined && { rotational }),
    ...(protocol !== undefined && { protocol: diskProtocols[protocol] }),
    ...(pick !== undefined && { choice: { case: pick, value: true } as const }),
  };
  return { rootDevice: "", disk };
}

/** Returns the request for machines: a batch for many, which counts as automatic, and one call for one. */
function useRequest(wanted: Wanted, supersedeGiven: boolean, isBatch: boolean): Wipe {
  const client = createClient(InstallationService, useTransport());
  return async (part, { validateOnly, findDisk }) => {
    const { rootDevice, disk } = readDisk(wanted.disk);
    const image = {
      url: wanted.url.trim(),
      digest: wanted.digest.trim(),
      rootDevice,
      ...(wanted.userData !== "" && { userData: new TextEncoder().encode(wanted.userData) }),
    };
    const target = { type: { case: "image", value: image } as const, ...(disk && { disk }) };
    const requests = part.map(({ machineId }) => ({
      machineId,
      target,
      supersedeGiven,
      expectedDisk: findDisk(machineId),
    }));
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
