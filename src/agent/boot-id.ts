/** What tells one boot of this machine from another. */
import { findText, type SystemFiles } from "./hardware/sysfs.ts";

/**
 * Returns the kernel's boot id, as random(4) says where it is. Undefined where there is none: what else could be found, such as the time
 * of the boot, changes whenever the clock is set.
 */
export function findBootId({ proc }: Pick<SystemFiles, "proc"> = { proc: "/proc" }): Promise<string | undefined> {
  return findText(proc, "sys/kernel/random/boot_id");
}
