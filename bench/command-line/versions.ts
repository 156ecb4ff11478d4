/** The versions of the program that are compared: this clone, its package, and an earlier commit. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** A version of the program in a folder. */
export interface Version {
  readonly folder: string;
  /** The function `bmaas` for bash. */
  readonly bmaas: string;
}

/** Returns this clone, with the function of its README. */
export function useClone(): Version {
  return { folder: repository, bmaas: readFunction(repository) };
}

/** Checks out an earlier commit below `folder` and installs its dependencies. It has the function of its README. */
export function checkOut(commit: string, folder: string): Version {
  const earlier = join(folder, "earlier");
  run("git", ["clone", "--quiet", "--shared", "--no-checkout", repository, earlier], folder);
  run("git", ["checkout", "--quiet", commit], earlier);
  run("npm", ["ci", "--silent", "--prefer-offline", "--no-audit", "--no-fund"], earlier);
  return { folder: earlier, bmaas: readFunction(earlier) };
}

/** Packs this clone and unpacks the package below `folder`, with the dependencies of this clone. */
export function unpack(folder: string): Version {
  const unpacked = join(folder, "package");
  mkdirSync(unpacked);
  run("npm", ["pack", "--silent", "--pack-destination", folder], repository);
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
  run("tar", ["-xzf", join(folder, `bmaas-${version}.tgz`), "-C", unpacked, "--strip-components=1"], folder);
  symlinkSync(join(repository, "node_modules"), join(unpacked, "node_modules"));
  return { folder: unpacked, bmaas: 'bmaas() { node_modules/.bin/node bin/bmaas.js "$@"; }' };
}

function readFunction(folder: string): string {
  const [line] = /^bmaas\(\) \{.*\}$/m.exec(readFileSync(join(folder, "README.md"), "utf8")) ?? [];
  if (line === undefined) throw new Error(`${folder}/README.md defines no function bmaas`);
  return line;
}

function run(program: string, args: readonly string[], directory: string): void {
  execFileSync(program, args, { cwd: directory, stdio: ["ignore", "ignore", "inherit"] });
}
