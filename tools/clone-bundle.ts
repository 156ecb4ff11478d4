/** The bundle of the program that a clone runs. */
import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { findFreshBuild, type KeptBuild, makeBuild } from "./kept-build.ts";

const bundle: KeptBuild = { name: "bundle", entry: "main.mjs" };

/**
 * The URL of a bundle of the sources as they are now; undefined where none can be made, so that the sources themselves
 * have to be run.
 */
export async function findBundle(): Promise<string | undefined> {
  const folder = findFreshBuild(bundle) ?? (await makeBundle().catch(() => undefined));
  return folder === undefined ? undefined : pathToFileURL(`${folder}/${bundle.entry}`).href;
}

async function makeBundle(): Promise<string> {
  const { buildProgram } = await import("./build-program.ts");
  const folder = await makeBuild(bundle, buildProgram);
  // What was compiled of others than the newest.
  rmSync(new URL("../node_modules/.cache/bmaas/compiled", import.meta.url), { recursive: true, force: true });
  return folder;
}
