/**
 * Builds that a clone keeps: each is made when it is first needed, and made again when anything that it was made of
 * has changed.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Something that is built from the sources. */
export interface KeptBuild {
  /** Begins the names of its folders, and is the name of its record. */
  readonly name: string;
  /** A file that every build has, as a path in its folder. */
  readonly entry: string;
}

/** What the newest build was made of. */
interface BuildRecord {
  /** The folder that holds the build, by its name beside the record. */
  readonly folder: string;
  /** What `stampFile` said of each file, by its path from the root of the clone. */
  readonly stamps: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = `${root}node_modules/.cache/bmaas/`;

/** How late the clock of a file system may be, in milliseconds. */
const clockLagMs = 20;
/** For how long a program that runs may load more of a build that is no longer the newest, in milliseconds. */
const oldestMs = 7 * 24 * 3_600_000;

/** Returns the absolute path of the folder with a build of the sources as they are now; undefined if there is none. */
export function findFreshBuild({ name, entry }: KeptBuild): string | undefined {
  try {
    const { folder, stamps } = JSON.parse(readFileSync(`${cache}${name}.json`, "utf8")) as BuildRecord;
    for (const file in stamps) if (stampFile(file) !== stamps[file]) return undefined;
    statSync(`${cache}${folder}/${entry}`);
    return cache + folder;
  } catch {
    return undefined;
  }
}

/**
 * Differs as soon as the file is written to or another one takes its place; no program can set the time of a file's
 * last change.
 */
function stampFile(file: string): string {
  const { ino, size, ctimeMs } = lstatSync(root + file);
  return `${ino} ${size} ${ctimeMs}`;
}

/**
 * Makes a build and its record, and returns the absolute path of its folder. `build` fills the folder that it is given
 * and returns what the build depends on: files and folders, as paths from the root of the clone. Throws where `build`
 * does, where the cache cannot be written, and when a file changes meanwhile.
 */
export async function makeBuild(
  { name }: KeptBuild,
  build: (folder: string) => Promise<readonly string[]>,
): Promise<string> {
  const { randomUUID } = await import("node:crypto");
  const { setTimeout: delay } = await import("node:timers/promises");
  const folder = `${name}-${randomUUID()}`;
  mkdirSync(cache + folder, { recursive: true });
  try {
    // So that a file that was changed just before this has an earlier time than one that is changed from now on.
    await delay(2 * clockLagMs);
    const begunMs = Date.now();
    const files = await build(cache + folder);
    const stamps = Object.fromEntries(files.map((file) => [file, stampFile(file)]));
    if (files.some((file) => lstatSync(root + file).ctimeMs > begunMs - clockLagMs)) throw new Error("files change");
    writeFileSync(`${cache}${folder}.json`, JSON.stringify({ folder, stamps } satisfies BuildRecord));
    renameSync(`${cache}${folder}.json`, `${cache}${name}.json`);
    removeOld(name, folder);
    return cache + folder;
  } catch (error) {
    rmSync(cache + folder, { recursive: true, force: true });
    throw error;
  }
}

/** Removes builds that nobody uses any more. */
function removeOld(name: string, newest: string): void {
  for (const each of readdirSync(cache)) {
    if (!each.startsWith(`${name}-`) || each === newest) continue;
    if (statSync(cache + each).mtimeMs < Date.now() - oldestMs) {
      rmSync(cache + each, { recursive: true, force: true });
    }
  }
}
