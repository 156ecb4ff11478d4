/** A tool that does what a test wants, in the place of the machine's own. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

/** Puts a shell script with this name first in PATH, until the test ends. Returns its folder. */
export async function installTool(name: string, script: string): Promise<string> {
  const folder = join(await temporaryFolder(), "bin");
  await mkdir(folder);
  const { PATH } = process.env;
  onTestFinished(() => {
    process.env.PATH = PATH;
  });
  process.env.PATH = `${folder}:/usr/bin:/bin`;
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, name), 0o755);
  return folder;
}
