/** Runs PgBouncer in front of a test's database, if it is installed. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSteadyPort } from "./steady-port.ts";
import { waitUntil } from "./wait.ts";

/** When PgBouncer takes a server connection back from a client. */
export type PoolMode = "session" | "transaction";

/** A running pooler. */
export interface PgBouncer extends AsyncDisposable {
  /** URL of the database through the pooler. */
  readonly url: string;
}

/** Debian installs it in /usr/sbin, which is not on other users' PATH. */
const environment = { PATH: `${process.env.PATH}:/usr/sbin` };
const [, major, minor] = /PgBouncer (\d+)\.(\d+)/.exec(runForVersion()) ?? [];

/** Whether PgBouncer is installed. */
export const hasPgBouncer = major !== undefined;
/** Whether PgBouncer supports prepared statements in transaction mode: version 1.21 or later. */
export const carriesStatements = hasPgBouncer && Number(major) * 1000 + Number(minor) >= 1021;

function runForVersion(): string {
  return spawnSync("pgbouncer", ["--version"], { env: environment }).stdout?.toString() ?? "";
}

/** Starts PgBouncer on a free port, in front of the database at `databaseUrl`, with additional settings. */
export async function startPgBouncer(
  databaseUrl: string,
  poolMode: PoolMode,
  settings: Record<string, string> = { ignore_startup_parameters: "options" },
): Promise<PgBouncer> {
  const { hostname, port: databasePort, pathname, username, password } = new URL(databaseUrl);
  const port = await findSteadyPort();
  const secret = password === "" ? [] : [`password=${password}`];
  const target = [`host=${hostname}`, `port=${databasePort || 5432}`, `user=${username}`, ...secret];
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: poolMode,
    ...(carriesStatements && { max_prepared_statements: "100" }),
    ...settings,
  };
  const folder = await mkdtemp(join(tmpdir(), "bmaas-pgbouncer-"));
  await chmod(folder, 0o711);
  const file = join(folder, "pgbouncer.ini");
  await writeFile(
    file,
    [
      "[databases]",
      `${pathname.slice(1)} = ${target.join(" ")}`,
      "[pgbouncer]",
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
    ].join("\n"),
  );
  // PgBouncer refuses to run as root, and drops root with -u.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn("pgbouncer", ["--quiet", ...user, file], {
    env: environment,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(child, "close");
  await waitUntil("PgBouncer listens", () => child.exitCode !== null || accepts(port));
  if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}`);
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port}`;
  // This pooler accepts clients without a password, so it cannot prove by SCRAM that it knows one.
  url.searchParams.delete("require_auth");
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const isOpen = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "close").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return isOpen;
}
