/**
 * The bundle that a clone runs. It is made when it is first needed, and made again when anything that it was made of
 * has changed.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

/** What the newest bundle was made of. */
interface BundleRecord {
  /** The folder that holds the bundle, by its name beside the record. */
  readonly folder: string;
  /** What `stampFile` said of each file, by its path from the root of the clone. */
  readonly stamps: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = `${root}node_modules/.cache/bmaas/`;
const recordFile = `${cache}bundle.json`;

/** How late the clock of a file system may be, in milliseconds. */
const clockLagMs = 20;
/** For how long a program that runs may load more of a bundle that is no longer the newest, in milliseconds. */
const oldestMs = 7 * 24 * 3_600_000;

/**
 * The URL of a bundle of the sources as they are now; undefined where none can be made, so that the sources themselves
 * have to be run.
 */
export async function findBundle(): Promise<string | undefined> {
  const folder = findFreshFolder() ?? (await makeBundle().catch(() => undefined));
  return folder === undefined ? undefined : pathToFileURL(`${cache}${folder}/main.mjs`).href;
}

function findFreshFolder(): string | undefined {
  try {
    const { folder, stamps } = JSON.parse(readFileSync(recordFile, "utf8")) as BundleRecord;
    for (const file in stamps) if (stampFile(file) !== stamps[file]) return undefined;
    statSync(`${cache}${folder}/main.mjs`);
    return folder;
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
 * Makes the bundle and the record of it, and returns the name of its folder; throws where it cannot, or when a file
 * changes meanwhile.
 */
async function makeBundle(): Promise<string> {
  const { randomUUID } = await import("node:crypto");
  const { setTimeout: delay } = await import("node:timers/promises");
  const folder = `bundle-${randomUUID()}`;
  mkdirSync(cache + folder, { recursive: true });
  try {
    const { buildProgram } = await import("./build-program.ts");
    // So that a file that was changed just before this has an earlier time than one that is changed from now on.
    await delay(2 * clockLagMs);
    const begunMs = Date.now();
    const files = await buildProgram(cache + folder);
    const stamps = Object.fromEntries(files.map((file) => [file, stampFile(file)]));
    if (files.some((file) => lstatSync(root + file).ctimeMs > begunMs - clockLagMs)) throw new Error("files change");
    writeFileSync(`${cache}${folder}.json`, JSON.stringify({ folder, stamps } satisfies BundleRecord));
    renameSync(`${cache}${folder}.json`, recordFile);
    removeOld(folder);
    return folder;
  } catch (error) {
    rmSync(cache + folder, { recursive: true, force: true });
    throw error;
  }
}

/** Removes bundles that nobody runs any more, and what was compiled of others than the newest. */
function removeOld(newest: string): void {
  for (const name of readdirSync(cache)) {
    const isOld = statSync(cache + name).mtimeMs < Date.now() - oldestMs;
    if (name === "compiled" || (isOld && name.startsWith("bundle-") && name !== newest)) {
      rmSync(cache + name, { recursive: true, force: true });
    }
  }
}
