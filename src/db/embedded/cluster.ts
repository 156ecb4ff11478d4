/** Creates the data folder of an embedded PostgreSQL, completely or not at all, and readable by its user alone. */
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, open, readFile, rename, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { syncFolder } from "../../base/atomic-file.ts";
import { isSystemError } from "../../base/system-error.ts";
import type { Account } from "./account.ts";
import { type Binaries, environmentOf } from "./binaries.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { removeLeftovers, temporaryName } from "./temporary-folder.ts";

const run = promisify(execFile);

/** Name of the superuser and of the database. */
export const databaseName = "bmaas";

/** A data folder to create, and the programs and account for it. */
interface Place {
  readonly home: string;
  readonly folder: string;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
}

/**
 * Creates `place.folder` unless it exists, and returns the superuser's password. Several processes at once get the same
 * one. Throws `EmbeddedPostgresError`.
 */
export async function ensureCluster(place: Place, durable: boolean): Promise<string> {
  await removeLeftovers(place.folder);
  if (!existsSync(place.folder)) await createCluster(place, durable);
  await checkVersion(place);
  return (await readFile(join(place.folder, "password"), "utf8")).trim();
}

async function createCluster(place: Place, durable: boolean): Promise<void> {
  const temporary = temporaryName(place.folder, randomUUID());
  const password = randomBytes(24).toString("base64url");
  try {
    await makeFolder(temporary, place.account === undefined ? 0o700 : 0o755);
    await makeFolder(join(temporary, "data"), 0o700, place.account);
    await writeDurably(join(temporary, "password"), password);
    // Tells a reader who finds the folder under /var/lib which home it belongs to.
    await writeDurably(join(temporary, "home"), place.home);
    const passwordFile = join(temporary, "initdb-password");
    await writeDurably(passwordFile, password, place.account);
    await runInitdb(place, temporary, passwordFile, durable);
    await unlink(passwordFile);
    await syncFolder(temporary);
    await rename(temporary, place.folder);
    await syncFolder(dirname(place.folder));
  } catch (error) {
    // Another process was first, so its folder and its password count.
    if (!isSystemError(error, "ENOTEMPTY", "EEXIST")) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function runInitdb(place: Place, folder: string, passwordFile: string, durable: boolean): Promise<void> {
  const args = [
    ["-D", join(folder, "data")],
    [`--username=${databaseName}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"],
    // The builtin provider sorts the same on every system; macOS and musl have no C.UTF-8.
    ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
    ["--set=max_connections=200", "--set=timezone=UTC", "--set=log_timezone=UTC"],
    durable ? [] : ["--no-sync"],
  ].flat();
  try {
    await run(place.binaries.initdb, args, { cwd: folder, env: environmentOf(place.binaries), ...place.account });
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const reason = stderr.trim().split("\n").slice(-5).join("\n") || message;
    throw new EmbeddedPostgresError(
      `cannot create a database in ${place.folder}: ${reason}; fix that, set another BMAAS_HOME, or set DATABASE_URL`,
      { cause: error },
    );
  }
}

async function checkVersion(place: Place): Promise<void> {
  const version = await readFile(join(place.folder, "data", "PG_VERSION"), "utf8").catch(() => undefined);
  if (version === undefined) {
    throw new EmbeddedPostgresError(
      `${place.folder} is not a database of bmaas: move it away, or set another BMAAS_HOME`,
    );
  }
  if (version.trim() !== place.binaries.majorVersion) {
    throw new EmbeddedPostgresError(
      `the database in ${place.folder} was created by PostgreSQL ${version.trim()}, but this bmaas includes ` +
        `PostgreSQL ${place.binaries.majorVersion}: dump it with the bmaas that created it and restore it here, or set another BMAAS_HOME`,
    );
  }
}

async function makeFolder(folder: string, mode: number, owner?: Account): Promise<void> {
  await mkdir(folder, { mode });
  // `mkdir` applies the umask; `chmod` does not.
  await chmod(folder, mode);
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
}

async function writeDurably(path: string, content: string, owner?: Account): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(`${content}\n`);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}
