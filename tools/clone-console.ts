/** The built console that a clone serves. Run as a program, it builds the console unless a fresh build is there. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findFreshBuild, type KeptBuild, makeBuild } from "./kept-build.ts";

const consoleBuild: KeptBuild = { name: "console", entry: "index.html" };

/** Returns the absolute path of the folder with a build of the console as it is now; undefined without one. */
export function findFreshConsole(): string | undefined {
  return findFreshBuild(consoleBuild);
}

/** Returns whether this clone has what the console is built with. `npm ci --omit=dev` leaves it out. */
export function canBuildConsole(): boolean {
  return existsSync(new URL("../node_modules/vite/package.json", import.meta.url));
}

/** Returns the absolute path of the folder with a fresh build, which it makes if there is none. */
export async function provideConsole(): Promise<string> {
  const fresh = findFreshConsole();
  if (fresh !== undefined) return fresh;
  const { buildConsole } = await import("./build-console.ts");
  return await makeBuild(consoleBuild, buildConsole);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await provideConsole();
