/**
 * Installs on machines: asks the server which disk of each it would wipe, has somebody confirm these disks, and then
 * installs on no other ones, and on no machine of which an installation was requested since.
 */
import type { Installation } from "@api/installation_pb.js";
import { useEffect, useEffectEvent, useMemo, useState } from "react";
import { Button } from "../ui/button.tsx";
import { ConfirmWipe } from "../ui/confirm-wipe.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { describeDisk } from "../ui/disk-text.ts";
import { formatCount } from "../ui/format.ts";
import { type Overtaken, OvertakenNote } from "./overtaken.tsx";
import { BackToForm, canForce, forceRisk, RefusedDialog } from "./refused-dialog.tsx";
import { type Failure, useRun } from "./run.ts";
import { FailureList, RunNote } from "./run-note.tsx";
import type { Target, Targets } from "./targets.ts";

/** What a call for some machines answers. */
export interface WipeAnswer {
  readonly installations: readonly Installation[];
  readonly failures: readonly Failure[];
}

/**
 * How machines are installed. With `validateOnly` nothing is stored. `findConfirmed` returns the installation of a
 * machine that somebody has confirmed, as the server has announced it; undefined before anybody was asked. `isForced`
 * returns whether an image is requested of an agent that may not know images.
 */
export type Wipe = (
  part: readonly Target[],
  how: {
    readonly validateOnly: boolean;
    readonly findConfirmed: (machineId: string) => Installation | undefined;
    readonly isForced: (machineId: string) => boolean;
  },
) => Promise<WipeAnswer>;

/** What the server has answered when it was asked what would happen. */
interface Checked {
  /** By machine. */
  readonly installations: ReadonlyMap<string, Installation>;
  readonly refused: readonly Failure[];
  /** Machines of which the installations are forced. */
  readonly forced: ReadonlySet<string>;
}

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
  /** What others have requested meanwhile; absent where the server is told what the machines had before. */
  readonly overtaken?: Overtaken;
  readonly onClose: () => void;
  /** Goes back to what was typed; absent where nothing was. */
  readonly onBack?: () => void;
}) {
  const { action, targets, partSize, wipe, overtaken, onClose, onBack } = props;
  const { checked, progress, isBusy, ask } = useCheck(targets, partSize, wipe);
  const run = useRun();
  const [isForcing, setIsForcing] = useState(false);
  const confirmed = useMemo(
    () => targets.machines.filter(({ machineId }) => checked?.installations.has(machineId) === true),
    [targets, checked],
  );
  if (checked === undefined) {
    return (
      <Dialog title={action} onClose={onClose}>
        <p>Asking the server which disks this would wipe…</p>
        <RunNote progress={progress} doing="Checked" />
      </Dialog>
    );
  }
  const { installations, refused, forced } = checked;
  if (installations.size === 0 || isForcing) {
    return (
      <RefusedDialog
        action={action}
        total={targets.machines.length}
        refused={refused}
        isAll={installations.size === 0}
        isBusy={isBusy}
        onForce={(machineIds) => void ask(new Set([...forced, ...machineIds])).then(() => setIsForcing(false))}
        onLeaveOut={() => setIsForcing(false)}
        onClose={onClose}
        onBack={onBack}
      />
    );
  }
  if (run.progress?.isFinished) {
    const isNothingDone = run.progress.failures.length === confirmed.length;
    return (
      <Dialog title={action} onClose={onClose}>
        <RunNote progress={run.progress} doing={action} />
        {isNothingDone && <BackToForm onBack={onBack} />}
      </Dialog>
    );
  }
  const [only] = installations.values();
  const install = async () => {
    const failures = await run.start(confirmed, partSize, async (part) => {
      const findConfirmed = (machineId: string) => installations.get(machineId);
      const isForced = (machineId: string) => forced.has(machineId);
      return (await wipe(part, { validateOnly: false, findConfirmed, isForced })).failures;
    });
    if (failures?.length === 0) onClose();
  };
  return (
    <ConfirmWipe
      action={action}
      machineIds={confirmed.slice(0, maxNamed).map(({ machineId }) => machineId)}
      count={confirmed.length}
      disk={confirmed.length === 1 && only !== undefined ? nameDisk(only) : "the disk named below"}
      {...(confirmed.length > 1 && { diskOf: (machineId: string) => describeChecked(installations.get(machineId)) })}
      isBusy={run.isBusy}
      onConfirm={() => void install()}
      onCancel={onClose}
      onBack={onBack}
    >
      {overtaken !== undefined && <OvertakenNote overtaken={overtaken} announced={installations} />}
      <ForcedNote machines={confirmed} forced={forced} />
      {refused.length > 0 && (
        <>
          <p>
            {formatCount(refused.length)} of {formatCount(targets.machines.length)} would be refused and are left out:
          </p>
          <FailureList failures={refused} total={targets.machines.length} what="Refused" />
        </>
      )}
      {refused.some(({ error }) => canForce(error)) && (
        <p>
          <Button isInert={run.isBusy} onClick={() => setIsForcing(true)}>
            Force those that can be forced…
          </Button>
        </p>
      )}
      <RunNote progress={run.progress} doing={action} />
    </ConfirmWipe>
  );
}

/** Asks the server which disks would be wiped: when it begins, and again with further machines forced. */
function useCheck(targets: Targets, partSize: number, wipe: Wipe) {
  const { progress, isBusy, start } = useRun();
  const [checked, setChecked] = useState<Checked>();
  const ask = async (forced: ReadonlySet<string>) => {
    const installations = new Map<string, Installation>();
    const isForced = (machineId: string) => forced.has(machineId);
    const refused = await start(targets.machines, partSize, async (part) => {
      const answer = await wipe(part, { validateOnly: true, findConfirmed: () => undefined, isForced });
      for (const installation of answer.installations) installations.set(installation.machineId, installation);
      return answer.failures;
    });
    if (refused !== undefined) setChecked({ installations, refused, forced });
  };
  const begin = useEffectEvent(() => ask(new Set()));
  useEffect(() => void begin(), []);
  return { checked, progress, isBusy, ask };
}

function ForcedNote({
  machines,
  forced,
}: {
  readonly machines: readonly Target[];
  readonly forced: Checked["forced"];
}) {
  const count = machines.filter(({ machineId }) => forced.has(machineId)).length;
  if (count === 0) return null;
  return (
    <p>
      Forced{machines.length > 1 && ` for ${formatCount(count)}`}: {forceRisk}
    </p>
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
