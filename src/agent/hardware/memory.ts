/** How much memory is fitted, and how much of it can be used. */
import { mem, memLayout } from "systeminformation";
import { toInt64 } from "./fields.ts";

/** Sums the modules that SMBIOS lists; where it lists none, all usable memory counts as fitted. */
export async function readMemory() {
  const [modules, { total }] = await Promise.all([memLayout(), mem()]);
  const fitted = modules.reduce((sum, { size }) => sum + (Number.isFinite(size) ? size : 0), 0);
  const installed = Math.max(fitted, total);
  return {
    memoryInstalledBytes: toInt64(installed),
    memoryUsableRatio: installed > 0 ? total / installed : 0,
  };
}
