/** Shows which disks would be wiped, and asks before it happens to several machines. */
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { type Act, actOnEach } from "../operator/act-on-each.ts";
import type { Operator } from "../operator/admin-client.ts";
import { describeDisk } from "../operator/disk-text.ts";
import type { CommandFailure } from "../operator/exit-status.ts";
import { confirm, type Target, type TargetFlags } from "../operator/targets.ts";

/**
 * Returns the installation that the user has confirmed for a machine, as the server has announced it; undefined if
 * nobody was asked. Throws the failure of a machine that the user was told would be refused: whatever disk it has by
 * now, nobody has seen that.
 */
export type FindConfirmed = (machineId: string) => Installation | undefined;

/**
 * Asks before several machines are installed, unless `--yes` is given, and names the disk of each. `check` asks the
 * server what it would do. Returns what finds the installations that were confirmed, so that no other disks are wiped.
 * Throws as `confirm` does.
 */
export async function confirmWipe(
  operator: Operator,
  targets: readonly Target[],
  flags: TargetFlags,
  question: { readonly what: string; readonly check: Act<{ readonly installation?: Installation | undefined }> },
): Promise<FindConfirmed> {
  const announced = new Map<string, Installation>();
  const refused = new Map<string, CommandFailure>();
  const list = async () => {
    const outcomes = await actOnEach(operator, targets, question.check);
    return outcomes.map(({ target: { machineId }, value: { installation } = {}, failure }) => {
      if (failure !== undefined) {
        refused.set(machineId, failure);
        return `${machineId}  would be refused: ${failure.message}`;
      }
      if (installation !== undefined) announced.set(machineId, installation);
      return `${machineId}  ${nameDisk(installation)}`;
    });
  };
  await confirm(targets, flags, question.what, { list });
  return (machineId) => {
    const failure = refused.get(machineId);
    if (failure !== undefined) throw failure;
    return announced.get(machineId);
  };
}

/** Returns the disk of an installation in words. */
export function nameDisk(installation: Installation | undefined): string {
  if (installation?.disk !== undefined) return describeDisk(installation.disk);
  const name = installation?.target?.type.value?.rootDevice;
  return name ? `the disk that is named ${name} at that time, unchecked` : "an unknown disk";
}
