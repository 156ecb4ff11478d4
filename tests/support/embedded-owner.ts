/** Starts processes that own an embedded PostgreSQL, for tests that end them in various ways. */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { inject } from "vitest";
import { waitUntil } from "./wait.ts";

/** Process of an owner, once PostgreSQL runs or the process was refused. */
export interface OwnerProcess {
  readonly pid: number;
  readonly url: string | undefined;
  readonly error: { name: string; message: string } | undefined;
  /** Ends it normally. */
  stop(): Promise<void>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
}

/** How to run the owner's program. Default: from this repository and as this user. */
export interface OwnerOptions {
  readonly node?: string;
  readonly program?: string;
  readonly account?: { uid: number; gid: number };
  readonly umask?: string;
}

/** Creates a folder for a test. It is removed after the run, with everything that its PostgreSQL keeps elsewhere. */
export async function makeTestFolder(): Promise<string> {
  return mkdtemp(join(inject("testFolder"), "embedded-"));
}

/** Starts a process that tries to own the embedded PostgreSQL of `home`. */
export async function startOwner(home: string, options: OwnerOptions = {}): Promise<OwnerProcess> {
  const program = options.program ?? fileURLToPath(new URL("embedded-owner-main.ts", import.meta.url));
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    "/bin/sh",
    ["-c", `umask ${options.umask ?? "022"}; exec "$0" "$@"`, options.node ?? process.execPath, program, home, "owner"],
    // A session of its own, as on a terminal.
    { stdio: ["pipe", "pipe", "inherit"], detached: true, cwd: "/", ...options.account },
  );
  const exited = once(child, "exit");
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(() => ['{"error":{"name":"exit","message":"ended before it said anything"}}']),
  ])) as [string];
  const said = JSON.parse(line) as Pick<OwnerProcess, "url" | "error">;
  return {
    pid: child.pid ?? 0,
    url: said.url,
    error: said.error,
    stop: async () => {
      child.stdin.end();
      await exited;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Runs one statement on its own connection and returns the rows. */
export async function query<T extends pg.QueryResultRow>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Returns all processes of the machine, with their arguments. */
export async function listProcesses(): Promise<{ pid: number; parent: number; args: string }[]> {
  if (process.platform !== "linux") {
    const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,ppid=,args="]);
    return stdout.split("\n").flatMap((line) => {
      const [, pid, parent, args] = /^ *(\d+) +(\d+) (.*)$/.exec(line) ?? [];
      return args === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), args }];
    });
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = async (pid: string) => {
    const args = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return { pid: Number(pid), parent: Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]), args };
  };
  const found = await Promise.all(pids.map((pid) => read(pid).catch(() => undefined)));
  return found.filter((entry) => entry !== undefined);
}

/** Waits for an owner's PostgreSQL and its guardian, and returns their process ids. */
export async function findFamily(owner: number): Promise<{ postgres: number; guardian: number }> {
  return waitUntil("PostgreSQL and a guardian run", async () => {
    const children = (await listProcesses()).filter(({ parent }) => parent === owner);
    const postgres = children.find(({ args }) => args.includes("bin/postgres -D"))?.pid;
    const guardian = children.find(({ args }) => args.includes("bmaas-guardian"))?.pid;
    return postgres !== undefined && guardian !== undefined && { postgres, guardian };
  });
}

/** Returns whether a process runs. A zombie does not. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await listProcesses()).some((entry) => entry.pid === pid && entry.args !== "");
}
