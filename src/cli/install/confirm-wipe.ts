/** Shows which disks would be wiped, and asks before it happens to several machines. */
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { actOnEach } from "../operator/act-on-each.ts";
import type { Operator } from "../operator/admin-client.ts";
import { describeDisk } from "../operator/disk-text.ts";
import { confirm, type Target, type TargetFlags } from "../operator/targets.ts";

/** Disks that the user has confirmed: their ids by machine. Empty if nobody was asked. */
export type ConfirmedDisks = ReadonlyMap<string, string>;

/**
 * Asks before several machines are installed, unless `--yes` is given, and names the disk of each. `check` asks the
 * server what it would do. Returns the disks that were confirmed, so that no other ones are wiped. Throws as `confirm`
 * does.
 */
export async function confirmWipe(
  operator: Operator,
  targets: readonly Target[],
  flags: TargetFlags,
  question: { readonly what: string; readonly check: (target: Target) => Promise<Installation | undefined> },
): Promise<ConfirmedDisks> {
  const disks = new Map<string, string>();
  const list = async () => {
    const outcomes = await actOnEach(operator, targets, question.check);
    return outcomes.map(({ target: { machineId }, value: installation, failure }) => {
      if (failure !== undefined) return `${machineId}  would be refused: ${failure.message}`;
      if (installation?.disk !== undefined) disks.set(machineId, installation.disk.id);
      return `${machineId}  ${nameDisk(installation)}`;
    });
  };
  await confirm(targets, flags, question.what, { list });
  return disks;
}

/** Returns the disk of an installation in words. */
export function nameDisk(installation: Installation | undefined): string {
  if (installation?.disk !== undefined) return describeDisk(installation.disk);
  const name = installation?.target?.type.value?.rootDevice;
  return name ? `the disk that is called ${name} then, unchecked` : "an unknown disk";
}
