/**
 * The program as a bundle: Node needs longer to load its hundreds of modules than most commands run. `npm run build`
 * makes the published one.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import packageJson from "../package.json" with { type: "json" };
import type { CommandNode } from "../src/cli/completion/command-tree.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Packages that go into the bundle: what short commands load, and drizzle-orm, of which Node parses a large
 * package.json for each of its modules. All others stay packages.
 */
const bundled = /^(?:commander|drizzle-orm|leven|@bufbuild\/.*|@connectrpc\/.*)$/;

/** Returns whether a package that bmaas needs is in the bundle, so that the program runs without it. */
export function isBundled(name: string): boolean {
  return bundled.test(name);
}

/** The programs, and what the tree of commands is read by. */
const entryPoints = {
  main: "src/main.ts",
  "worker-main": "src/workers/worker-main.ts",
  program: "src/cli/program.ts",
  "command-tree": "src/cli/completion/command-tree.ts",
};

/** What decides about the bundle without being in it. */
const settings = [
  "package.json",
  "tsconfig.json",
  "tools/build-program.ts",
  "tools/clone-bundle.ts",
  "tools/kept-build.ts",
];

/**
 * Writes the bundle into `folder`: main.mjs, worker-main.mjs, what they load, and the tree of commands for completion.
 * Returns what another bundle would come of when it changed: files and folders, as paths from the root of the clone.
 */
export async function buildProgram(folder: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    external: Object.keys(packageJson.dependencies).filter((name) => !isBundled(name)),
    metafile: true,
    logLevel: "silent",
  });
  writeFileSync(join(folder, "command-tree.json"), JSON.stringify(await readTree(folder)));
  const files = Object.keys(metafile.inputs);
  const packages = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  // The files are named by where they are. Where a package is looked for may be a link to it.
  const links = [...packages].map((path) => `node_modules/${path.split("node_modules/").at(-1)}`);
  // A package's own folder changes when packages of its own come into it.
  const looked = [...packages].flatMap((path) => [path, `${path}/package.json`]);
  return [...settings, ...files, ...looked, ...links.filter((path) => existsSync(join(root, path)))];
}

/** From the bundle itself, so that it is the tree of these very sources. */
async function readTree(folder: string): Promise<readonly CommandNode[]> {
  const load = (name: keyof typeof entryPoints) => import(pathToFileURL(join(folder, `${name}.mjs`)).href);
  const { createProgram } = (await load("program")) as typeof import("../src/cli/program.ts");
  const { readCommandTree } = (await load("command-tree")) as typeof import("../src/cli/completion/command-tree.ts");
  return readCommandTree(await createProgram());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, "dist", "program");
  rmSync(folder, { recursive: true, force: true });
  await buildProgram(folder);
}
