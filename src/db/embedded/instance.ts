/** Finds the folder of an embedded PostgreSQL and prepares everything needed to run it there. */
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { access, chmod, mkdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Account, findServerAccount } from "./account.ts";
import { type Binaries, getBinaries } from "./binaries.ts";
import { ensureCluster } from "./cluster.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { installBinaries } from "./install-binaries.ts";

/** One embedded PostgreSQL: its data, its programs and the account that runs them. */
export interface Instance {
  /** The real path of the home that it belongs to. */
  readonly home: string;
  /** Holds the data folder and the password. */
  readonly folder: string;
  readonly dataFolder: string;
  readonly binaries: Binaries;
  /** Undefined: PostgreSQL runs as this process's own user. */
  readonly account: Account | undefined;
  /** Password of the superuser. */
  readonly password: string;
}

/**
 * Folder for instances that another account runs for root, since that account could not enter most homes.
 * @public
 */
export const systemFolder = "/var/lib/bmaas";

/**
 * Finds or creates the instance of `home`. Without `durable`, a crash of the machine may lose data: for tests only.
 * Throws `EmbeddedPostgresError`.
 */
export async function prepareInstance(home: string, durable: boolean): Promise<Instance> {
  const binaries = await getBinaries();
  const account = await findServerAccount();
  try {
    await mkdir(home, { recursive: true, mode: 0o700 });
    const realHome = await realpath(home);
    const folder = locateInstance(realHome, account);
    if (account !== undefined) await prepareSystemFolder(realHome);
    const place = {
      home: realHome,
      folder,
      dataFolder: join(folder, "data"),
      binaries:
        account === undefined
          ? binaries
          : await installBinaries(binaries, join(systemFolder, `postgres-${binaries.version}`)),
      account,
    };
    return { ...place, password: await ensureCluster(place, durable) };
  } catch (error) {
    if (error instanceof EmbeddedPostgresError || !(error instanceof Error)) throw error;
    throw new EmbeddedPostgresError(
      `cannot create a database under ${home}: ${error.message}; set BMAAS_HOME to a writable folder, or set DATABASE_URL`,
      { cause: error },
    );
  }
}

/** Returns the folder of the instance that belongs to `realHome`, when PostgreSQL runs as `account`. */
export function locateInstance(realHome: string, account: Account | undefined): string {
  if (account === undefined) return join(realHome, "postgres");
  return join(systemFolder, createHash("sha256").update(realHome).digest("hex").slice(0, 12));
}

/** Returns whether `home` has an instance with data, whether or not its server runs. */
export async function hasInstance(home: string): Promise<boolean> {
  try {
    await access(join(locateInstance(await realpath(home), await findServerAccount()), "data", "PG_VERSION"));
    return true;
  } catch {
    return false;
  }
}

async function prepareSystemFolder(realHome: string): Promise<void> {
  const ordinary = lstatSync(join(realHome, "postgres"), { throwIfNoEntry: false });
  if (ordinary !== undefined) {
    throw new EmbeddedPostgresError(
      `${realHome} holds the database of the user with id ${ordinary.uid}: run bmaas as that user, or set another BMAAS_HOME for root`,
    );
  }
  await mkdir(systemFolder, { recursive: true });
  // `mkdir` applies the umask; `chmod` does not. The other account must be able to enter.
  await chmod(systemFolder, 0o755);
}

/** Deletes all data of the instance that belongs to `home`. Its server must be stopped. */
export async function removeEmbeddedPostgres(home: string): Promise<void> {
  await rm(locateInstance(await realpath(home), await findServerAccount()), { recursive: true, force: true });
}
