/**
 * Removes what test runs leave on the machine: their folders, and for root the embedded PostgreSQLs whose homes are in
 * them.
 */

import { existsSync, realpathSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemFolder } from "../../src/db/embedded/instance.ts";
import { findPostmaster } from "../../src/db/embedded/postmaster-file.ts";

const parent = realpathSync(tmpdir());
const prefix = "bmaas-test-";

/** Folder of the run whose main process is this process. */
export const runFolder = join(parent, `${prefix}${process.pid}`);

/** Removes the leftovers of runs whose main process is gone, and `ownFolder` with everything that belongs to it. */
export async function removeLeftovers(ownFolder?: string): Promise<void> {
  const folders = (await readdir(parent)).filter((name) => name.startsWith(prefix)).map((name) => join(parent, name));
  const abandoned = folders.filter((folder) => folder === ownFolder || !isAlive(Number(folder.split("-").at(-1))));
  await removeSystemInstances(
    (home) =>
      abandoned.some((folder) => home.startsWith(folder + sep)) || (home.startsWith(parent + sep) && !existsSync(home)),
    folders.length > abandoned.length,
  );
  for (const folder of abandoned) await rm(folder, { recursive: true, force: true });
}

/**
 * Removes root's instances of the homes for which `belongs` returns true, and the copy of PostgreSQL's programs if no
 * instance and no other run can use it.
 */
async function removeSystemInstances(belongs: (home: string) => boolean, othersRun: boolean): Promise<void> {
  if (process.getuid?.() !== 0 || !existsSync(systemFolder)) return;
  for (const name of await readdir(systemFolder)) {
    const folder = join(systemFolder, name);
    const home = await readFile(join(folder, "home"), "utf8").catch(() => undefined);
    if (home === undefined || !belongs(home.trim())) continue;
    await endPostmaster(join(folder, "data"));
    await rm(folder, { recursive: true, force: true });
  }
  const left = await readdir(systemFolder);
  if (!othersRun && left.every((name) => name.startsWith("postgres-") && !name.includes(".tmp-"))) {
    await rm(systemFolder, { recursive: true, force: true });
  }
}

async function endPostmaster(dataFolder: string): Promise<void> {
  for (;;) {
    const postmaster = await findPostmaster(dataFolder);
    if (postmaster === undefined) return;
    process.kill(postmaster.pid, "SIGQUIT");
    await delay(50);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
