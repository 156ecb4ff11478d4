/** Finds out which programs this machine lacks. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Says which of the programs are not there and what to install, or returns undefined if all are. `tools` maps programs,
 * or paths of files, to the packages of Debian that have them.
 */
export function findMissingTools(tools: Readonly<Record<string, string>>): string | undefined {
  const missing = Object.entries(tools).filter(([tool]) => !isThere(tool));
  if (missing.length === 0) return undefined;
  const names = missing.map(([tool]) => tool).join(", ");
  const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
  return `${names}, and this machine lacks that: install it (Debian: apt-get install ${packages})`;
}

/** A path is looked for as it is, a program in PATH and where root has its programs. */
function isThere(tool: string): boolean {
  if (tool.startsWith("/")) return isAccessible(tool, constants.R_OK);
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => isAccessible(join(folder, tool), constants.X_OK));
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
