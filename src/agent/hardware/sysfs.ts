/** Reads what Linux says about hardware in /sys and /proc, where any attribute may be absent or refuse to be read. */
import { readdir, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Where /sys and /proc are mounted. */
export interface SystemFiles {
  readonly sys: string;
  readonly proc: string;
  /** Where udev links its names of disks; absent where none are to be looked for. */
  readonly dev?: string | undefined;
}

/** Returns an attribute's bytes, or undefined when there is none to be had. */
export async function findBytes(...path: string[]): Promise<Buffer | undefined> {
  try {
    return await readFile(join(...path));
  } catch {
    return undefined;
  }
}

/** Returns an attribute's text without the white space around it, or undefined when there is none to be had. */
export async function findText(...path: string[]): Promise<string | undefined> {
  const text = (await findBytes(...path))?.toString("utf8").replaceAll("\0", "").trim();
  return text === "" ? undefined : text;
}

/**
 * Returns an attribute that is a whole number, 0 or more; undefined for everything else, such as the speed -1 of no
 * link.
 */
export async function findCount(...path: string[]): Promise<number | undefined> {
  const text = await findText(...path);
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Returns the names in a folder in order; throws when it cannot be read. */
export async function listNames(...path: string[]): Promise<string[]> {
  return (await readdir(join(...path))).sort();
}

/** Returns where a link ends, or undefined when there is none. */
export async function findTarget(...path: string[]): Promise<string | undefined> {
  try {
    return await realpath(join(...path));
  } catch {
    return undefined;
  }
}

/** Returns the last name of where a link ends, or undefined when there is none. */
export async function findTargetName(...path: string[]): Promise<string | undefined> {
  const target = await findTarget(...path);
  return target === undefined ? undefined : basename(target);
}

/**
 * Returns an attribute of the nearest device above `device` that has it, and has `beside` as well; undefined when none
 * up to `root` does.
 */
export async function findAbove(
  device: string,
  root: string,
  attribute: string,
  beside = attribute,
): Promise<string | undefined> {
  const top = await findTarget(root);
  for (let at = dirname(device); at !== dirname(at) && at !== top; at = dirname(at)) {
    const [text, other] = await Promise.all([findText(at, attribute), findText(at, beside)]);
    if (text !== undefined && other !== undefined) return text;
  }
  return undefined;
}
