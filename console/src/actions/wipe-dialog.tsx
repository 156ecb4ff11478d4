/**
 * Installs on machines: asks the server which disk of each it would wipe, has somebody confirm these disks, and then
 * installs on no other ones.
 */
import type { Installation } from "@api/installation_pb.js";
import { useEffect, useEffectEvent, useMemo, useState } from "react";
import { ConfirmWipe } from "../ui/confirm-wipe.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { describeDisk } from "../ui/disk-text.ts";
import { formatCount } from "../ui/format.ts";
import { type Failure, useRun } from "./run.ts";
import { FailureList, RunNote } from "./run-note.tsx";
import type { Target, Targets } from "./targets.ts";

/** What a call for some machines answers. */
export interface WipeAnswer {
  readonly installations: readonly Installation[];
  readonly failures: readonly Failure[];
}

/** How machines are installed. With `validateOnly` nothing is stored; `findDisk` returns the id of a confirmed disk. */
export type Wipe = (
  part: readonly Target[],
  how: { readonly validateOnly: boolean; readonly findDisk: (machineId: string) => string },
) => Promise<WipeAnswer>;

/** Most machines that the question is given; it names fewer. */
const maxNamed = 20;

/** Checks, asks and installs. It closes by itself when nothing failed. */
export function WipeDialog(props: {
  /** Such as "Install". */
  readonly action: string;
  readonly targets: Targets;
  /** Machines of a call: more than one only where the API takes many. */
  readonly partSize: number;
  readonly wipe: Wipe;
  readonly onClose: () => void;
}) {
  const { action, targets, partSize, wipe, onClose } = props;
  const check = useRun();
  const run = useRun();
  const [checked, setChecked] = useState<ReadonlyMap<string, Installation>>();
  const ask = useEffectEvent(async () => {
    const found = new Map<string, Installation>();
    await check.start(targets.machines, partSize, async (part) => {
      const answer = await wipe(part, { validateOnly: true, findDisk: () => "" });
      for (const installation of answer.installations) found.set(installation.machineId, installation);
      return answer.failures;
    });
    setChecked(found);
  });
  useEffect(() => void ask(), []);
  const confirmed = useMemo(
    () => targets.machines.filter(({ machineId }) => checked?.has(machineId) === true),
    [targets, checked],
  );

  const total = targets.machines.length;
  const refused = check.progress?.failures ?? [];
  if (checked === undefined || checked.size === 0) {
    return (
      <Dialog title={action} onClose={onClose}>
        {checked === undefined ? (
          <>
            <p>Asking the server which disks this would wipe…</p>
            <RunNote progress={check.progress} doing="Checked" />
          </>
        ) : (
          <>
            <p>Nothing was done: the server would refuse {total === 1 ? "this" : "each of them"}.</p>
            <FailureList failures={refused} total={total} what="Refused" />
          </>
        )}
      </Dialog>
    );
  }
  if (run.progress?.isFinished) {
    return (
      <Dialog title={action} onClose={onClose}>
        <RunNote progress={run.progress} doing={action} />
      </Dialog>
    );
  }
  const [only] = checked.values();
  const install = async () => {
    const failures = await run.start(confirmed, partSize, async (part) => {
      const findDisk = (machineId: string) => checked.get(machineId)?.disk?.id ?? "";
      return (await wipe(part, { validateOnly: false, findDisk })).failures;
    });
    if (failures.length === 0) onClose();
  };
  return (
    <ConfirmWipe
      action={action}
      machineIds={confirmed.slice(0, maxNamed).map(({ machineId }) => machineId)}
      count={confirmed.length}
      disk={confirmed.length === 1 && only !== undefined ? nameDisk(only) : "the disk named below"}
      {...(confirmed.length > 1 && { diskOf: (machineId: string) => describeChecked(checked.get(machineId)) })}
      isBusy={run.isBusy}
      onConfirm={() => void install()}
      onCancel={onClose}
    >
      {refused.length > 0 && (
        <>
          <p>
            {formatCount(refused.length)} of {formatCount(total)} would be refused and are left out:
          </p>
          <FailureList failures={refused} total={total} what="Refused" />
        </>
      )}
      <RunNote progress={run.progress} doing={action} />
    </ConfirmWipe>
  );
}

function describeChecked(installation: Installation | undefined): string {
  return installation === undefined ? "" : nameDisk(installation);
}

/** Returns the disk of an installation in words. */
function nameDisk({ disk, target }: Installation): string {
  if (disk !== undefined) return describeDisk(disk);
  const name = target?.type.value?.rootDevice;
  return name ? `the disk that is named ${name} at that time, unchecked` : "an unknown disk";
}
