/** The packed `bmaas` package, and the packages that it needs, as this clone's lock file has them. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import packageJson from "../../package.json" with { type: "json" };
import { isBundled } from "../build-program.ts";
import type { ArchiveEntry } from "./cpio.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Where the package is in the image. */
const home = "usr/lib/bmaas";

/** What Node never reads: types, source maps, documentation, and the tests of packages. */
const unused = /(\.(d\.[cm]?ts|map|md|markdown)$)|(^|\/)(test|tests|benchmark|benchmarks|docs)\//;

/** What of the package an agent never reads: migrations, contracts, examples, the console and the library's modules. */
const serversOnly = /^(drizzle|examples|proto|gen|dist\/(?!program\/))/;

/** Packages that only a server loads. */
const serversPackages =
  /^(@fastify\/.*|fastify|@opentelemetry\/.*|pg|pg-copy-streams|jose|prom-client|standardwebhooks|modern-tar|yaml|lru-cache)$/;

/** Packs the package into `folder`, and returns the entries of it, of the packages that it needs, and of its Node. */
export function listBmaasPackage(folder: string): ArchiveEntry[] {
  const root = pack(folder);
  const own = listFiles(root, home).filter(({ path }) => !serversOnly.test(path.slice(home.length + 1)));
  const names = Object.keys(packageJson.dependencies).filter((name) => !isBundled(name) && !serversPackages.test(name));
  const others = [...findPackages(names)].flatMap((path) => listFiles(join(repository, path), `${home}/${path}`));
  return [...own, ...others, copyNode()];
}

/** Returns the folder with the files of the package, built anew. */
function pack(folder: string): string {
  mkdirSync(folder, { recursive: true });
  execFileSync("npm", ["pack", "--pack-destination", folder], {
    cwd: repository,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [archive = ""] = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
  execFileSync("tar", ["--extract", "--gzip", "--file", archive], { cwd: folder });
  return join(folder, "package");
}

/** Returns the paths of the packages and of all that they need, from the root of the clone. */
function findPackages(names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const add = (name: string, from: string) => {
    const path = locate(name, from);
    if (path === undefined || found.has(path)) return;
    found.add(path);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(repository, path, "package.json"), "utf8"),
    ) as Partial<typeof packageJson>;
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) add(needed, path);
  };
  for (const name of names) add(name, "");
  return found;
}

/** Looks for a package as Node does: beside what needs it, and then in each folder above. */
function locate(name: string, from: string): string | undefined {
  for (let above = from; ; above = above.slice(0, Math.max(0, above.lastIndexOf("node_modules") - 1))) {
    const path = join(above, "node_modules", name);
    if (statSync(join(repository, path, "package.json"), { throwIfNoEntry: false }) !== undefined) return path;
    // Optional packages may be missing.
    if (above === "") return undefined;
  }
}

/** Returns entries for the files of a folder, without packages inside of it. */
function listFiles(folder: string, into: string): ArchiveEntry[] {
  const paths = globSync("**", { cwd: folder, exclude: (name) => name === "node_modules" });
  return paths.flatMap((path): ArchiveEntry[] => {
    const stats = statSync(join(folder, path));
    if (!stats.isFile() || unused.test(path)) return [];
    return [{ path: `${into}/${path}`, content: { type: "copy", file: join(folder, path) } }];
  });
}

/** The Node that the lock file names. */
function copyNode(): ArchiveEntry {
  const file = join(repository, "node_modules/node/bin/node");
  return { path: "usr/bin/node", content: { type: "copy", file, isExecutable: true } };
}
