/** Reads Linux's attributes of hardware in /sys and /proc, any of which may be absent or unreadable. */
import { readdir, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Mount points of /sys and /proc. */
export interface SystemFiles {
  readonly sys: string;
  readonly proc: string;
  /** Folder in which udev links names of disks. Absent: none are read. */
  readonly dev?: string | undefined;
}

/** Returns an attribute's bytes, or undefined if it cannot be read. */
export async function findBytes(...path: string[]): Promise<Buffer | undefined> {
  try {
    return await readFile(join(...path));
  } catch {
    return undefined;
  }
}

/** Returns an attribute's text without surrounding white space, or undefined if it is empty or cannot be read. */
export async function findText(...path: string[]): Promise<string | undefined> {
  const text = (await findBytes(...path))?.toString("utf8").replaceAll("\0", "").trim();
  return text === "" ? undefined : text;
}

/**
 * Returns an attribute that is a whole number from 0 up, or undefined for anything else, such as -1 for the speed
 * without a link.
 */
export async function findCount(...path: string[]): Promise<number | undefined> {
  const text = await findText(...path);
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Returns the names in a folder, sorted. Throws if it cannot be read. */
export async function listNames(...path: string[]): Promise<string[]> {
  return (await readdir(join(...path))).sort();
}

/** Returns the target of a link, or undefined if it does not exist. */
export async function findTarget(...path: string[]): Promise<string | undefined> {
  try {
    return await realpath(join(...path));
  } catch {
    return undefined;
  }
}

/** Returns the name of a link's target without its folder, or undefined if it does not exist. */
export async function findTargetName(...path: string[]): Promise<string | undefined> {
  const target = await findTarget(...path);
  return target === undefined ? undefined : basename(target);
}

/**
 * Returns an attribute of the nearest device above `device` that has both it and `beside`, or undefined if none below
 * `root` does.
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
