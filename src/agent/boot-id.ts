/** Finds the id that distinguishes boots of this machine. */
import { findText, type SystemFiles } from "./hardware/sysfs.ts";

/**
 * Returns the kernel's boot id (random(4)), or undefined if there is none. Alternatives such as the time of the boot
 * change whenever the clock is set.
 */
export function findBootId({ proc }: Pick<SystemFiles, "proc"> = { proc: "/proc" }): Promise<string | undefined> {
  return findText(proc, "sys/kernel/random/boot_id");
}
