/** Files in a home by which other programs find its embedded PostgreSQL while it runs. */
import { readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../base/atomic-file.ts";
import { chooseClient, withScram } from "../scram-client.ts";
import { findServerAccount } from "./account.ts";
import { locateInstance } from "./instance.ts";
import { findPostmaster } from "./postmaster-file.ts";

const urlFile = "database.url";
const serviceFile = "pg_service.conf";
const probeTimeoutMs = 3_000;

/**
 * Writes `database.url` and `pg_service.conf` (`PGSERVICEFILE=.bmaas/pg_service.conf psql service=bmaas`), which keep
 * the password out of lists of processes. Only their owner may read them. A reader sees the old files or the new ones,
 * never half of one.
 */
export async function writeConnectionFiles(home: string, url: string): Promise<void> {
  const { hostname, port, pathname, username, password } = new URL(url);
  const service = {
    host: hostname,
    port,
    dbname: pathname.slice(1),
    user: username,
    password,
  };
  const lines = Object.entries(service).map(([name, value]) => `${name}=${value}\n`);
  await replaceFile(join(home, serviceFile), `[bmaas]\n${lines.join("")}`, 0o600);
  // Older versions of psql do not know the parameter that requires SCRAM.
  await replaceFile(join(home, urlFile), `${url.replace(/\?.*/, "")}\n`, 0o600);
}

/** Removes what `writeConnectionFiles` wrote. */
export async function removeConnectionFiles(home: string): Promise<void> {
  await Promise.all([urlFile, serviceFile].map((name) => rm(join(home, name), { force: true })));
}

/**
 * Returns the URL of the embedded PostgreSQL of `home` if one runs there and answers. A file that a crash left behind
 * names a port that another process may have taken since, and that process could ask for the password. So this connects
 * only if PostgreSQL runs on the home's own data folder at that port.
 */
export async function findEmbeddedUrl(home: string): Promise<string | undefined> {
  const left = (await readFile(join(home, urlFile), "utf8").catch(() => "")).trim();
  if (!URL.canParse(left) || (await findPort(home)) !== Number(new URL(left).port)) return undefined;
  const url = withScram(left);
  const Client = chooseClient(url);
  const client = new Client({ connectionString: url, connectionTimeoutMillis: probeTimeoutMs });
  client.on("error", () => {});
  try {
    await client.connect();
    return url;
  } catch {
    return undefined;
  } finally {
    await client.end().catch(() => {});
  }
}

async function findPort(home: string): Promise<number | undefined> {
  const folder = locateInstance(await realpath(home), await findServerAccount());
  return (await findPostmaster(join(folder, "data")))?.port;
}
