/**
 * Measures with pgbench how fast PostgreSQL counts single heartbeats, one statement each, without agents or a protocol.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Number of clients with which two cores reach the highest rate. */
const clients = 32;

/**
 * Script that authenticates a heartbeat by its key and counts it, in an autocommitted statement that returns no row.
 */
const script = (machines: number) => `\\set number random(1, ${machines})
insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
select machine_id, now(), now(), now() + interval '90 seconds' from agent_started
 where machine_id = md5(:number::text)::uuid and public_key = sha256(:number::text::bytea)
on conflict (machine_id) do update
  set heartbeat_at = excluded.heartbeat_at, quiet_until = excluded.quiet_until;
`;

/**
 * Returns the path of pgbench: the newest of Debian's versions, or the one on PATH. Returns undefined if it is not
 * installed.
 */
export async function findPgbench(): Promise<string | undefined> {
  const onPath = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "pgbench"));
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? (await readdir(root)).sort((a, b) => Number(b) - Number(a)) : [];
  const inPackages = versions.map((version) => join(root, version, "bin/pgbench"));
  return [...inPackages, ...onPath].find((file) => existsSync(file));
}

/** Runs pgbench over random machines of a fleet, and returns the heartbeats per second. */
export async function runPgbench(
  program: string,
  { url, machines, folder, seconds }: { url: string; machines: number; folder: string; seconds: number },
): Promise<number> {
  const file = join(folder, `heartbeat-${machines}.sql`);
  await writeFile(file, script(machines));
  const { stdout } = await run(
    program,
    ["--no-vacuum", "--protocol=prepared", `--client=${clients}`, "--jobs=2", `--time=${seconds}`, `--file=${file}`],
    { env: toLibpqVariables(new URL(url)) },
  );
  const [, rate] = /^tps = ([\d.]+) \(without initial connection time\)/m.exec(stdout) ?? [];
  const [, failed = "0"] = /number of failed transactions: (\d+)/.exec(stdout) ?? [];
  if (rate === undefined || failed !== "0") throw new Error(`pgbench:\n${stdout}`);
  return Number(rate);
}

/**
 * Returns a URL's connection as environment variables: these show no password in lists of processes, and a libpq before
 * version 16, which refuses a URL with `require_auth`, ignores PGREQUIREAUTH.
 */
function toLibpqVariables({ hostname, port, username, password, pathname, searchParams }: URL): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGREQUIREAUTH: searchParams.get("require_auth") ?? undefined,
    PGSSLMODE: searchParams.get("sslmode") ?? undefined,
  };
}
