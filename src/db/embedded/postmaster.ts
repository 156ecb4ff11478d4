/** Runs PostgreSQL as a child process. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Logger } from "pino";
import { isSystemError } from "../../base/system-error.ts";
import { type Binaries, environmentOf } from "./binaries.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import type { Instance } from "./instance.ts";
import { readPostmasterFile } from "./postmaster-file.ts";

const run = promisify(execFile);

/** PostgreSQL as a child of this process. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** Exit status or signal with which it ended; undefined while it runs. */
  readonly ending: string | undefined;
  /** Resolves, when it has ended, to the exit status or signal. */
  readonly ended: Promise<string>;
  /** Stops it with a fast shutdown, then with harder ones if it takes too long. */
  stop(): Promise<void>;
}

/** Reason why PostgreSQL did not start that may be gone at the next attempt. */
export type Obstacle = "locked" | "port";

/**
 * Messages about a lock that is held or left behind. A crash of the machine can leave postmaster.pid empty or full of
 * zeros.
 */
const lockedPattern = /lock file .* (already exists|is empty)|bogus data in lock file|pre-existing shared memory block/;

/** PostgreSQL did not start. */
export class StartError extends EmbeddedPostgresError {
  override readonly name = "StartError";
  /**
   * `locked`: another process may still run on the data folder. `port`: the port is taken. Undefined: another attempt
   * would fail the same way.
   */
  readonly obstacle: Obstacle | undefined;
  constructor(ending: string, output: readonly string[]) {
    super(`PostgreSQL did not start (${ending}): ${output.join("; ") || "it printed nothing"}`);
    const text = output.join("\n");
    if (lockedPattern.test(text)) this.obstacle = "locked";
    else if (/could not (bind|create any TCP\/IP sockets)/.test(text)) this.obstacle = "port";
  }
}

/** Longest waits for a fast shutdown and for each harder one, in milliseconds. */
const stopTimeoutsMs = { INT: 20_000, QUIT: 5_000, KILL: 5_000 };
const outputLines = 12;

/**
 * Starts PostgreSQL and waits until it accepts connections, which after a crash takes as long as the recovery. Throws
 * `StartError`. A start that fails or is aborted leaves nothing running.
 */
export async function startPostmaster(
  instance: Instance,
  options: { port: number; durable: boolean; log: Logger; signal: AbortSignal; onSpawn: (pid: number) => void },
): Promise<Postmaster> {
  const child = spawn(instance.binaries.postgres, serverArguments(instance, options), {
    cwd: instance.folder,
    env: environmentOf(instance.binaries),
    // A session of its own, so that Ctrl-C does not reach it before its clients have drained.
    detached: process.platform !== "win32",
    stdio: ["ignore", "ignore", "pipe"],
    windowsHide: true,
    ...instance.account,
  });
  // Prevents later errors from ending the process. `once` below handles an error of the start.
  child.on("error", () => {});
  const output = collectOutput(child, options.log);
  await once(child, "spawn").catch((error: Error) => {
    throw new StartError(error.message, []);
  });
  const postmaster = watch(child, options.port, instance.binaries);
  try {
    options.onSpawn(postmaster.pid);
    while (!(await isReady(postmaster, instance))) {
      if (postmaster.ending !== undefined) throw new StartError(await postmaster.ended, output);
      options.signal.throwIfAborted();
      await Promise.race([postmaster.ended, delay(10)]);
    }
    return postmaster;
  } catch (error) {
    await postmaster.stop();
    throw error;
  }
}

/** Returns a TCP port of the loopback interface that is free now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/**
 * Sends PostgreSQL a signal, unless it is gone. Windows has no signals, so pg_ctl sends PostgreSQL's emulation there.
 */
export async function signalPostmaster(
  binaries: Binaries,
  pid: number,
  signal: "INT" | "QUIT" | "KILL",
): Promise<void> {
  try {
    if (process.platform === "win32") await run(binaries.pgCtl, ["kill", signal, String(pid)]);
    else process.kill(pid, `SIG${signal}`);
  } catch (error) {
    if (process.platform !== "win32" && !isSystemError(error, "ESRCH")) throw error;
  }
}

function serverArguments(instance: Instance, options: { port: number; durable: boolean }): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    // Statements and details of errors quote data from the database, which must not reach a log.
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_line_prefix: "",
    log_destination: "stderr",
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  return [
    ...["-D", instance.dataFolder, "-p", String(options.port)],
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
}

/** Returns an array that always holds the last lines that PostgreSQL wrote. Logs each line at debug. */
function collectOutput(child: ChildProcess, log: Logger): string[] {
  const lines: string[] = [];
  if (child.stderr === null) return lines;
  // A broken pipe loses only PostgreSQL's output.
  child.stderr.on("error", () => {});
  const output = createInterface(child.stderr);
  output.on("error", () => {});
  output.on("line", (line) => {
    log.debug({ line }, "postgres");
    lines.push(line);
    if (lines.length > outputLines) lines.shift();
  });
  return lines;
}

function watch(child: ChildProcess, port: number, binaries: Binaries): Postmaster {
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  let ending: string | undefined;
  // "close" comes after "exit", when all output has been read. A backend may hold its end of the pipe a little longer.
  child.once("exit", (code, signal) => {
    ending = signal === null ? `exit status ${code}` : `ended by ${signal}`;
    const settled = ending;
    const late = setTimeout(() => resolve(settled), 200);
    child.once("close", () => {
      clearTimeout(late);
      resolve(settled);
    });
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    port,
    ended,
    get ending() {
      return ending;
    },
    async stop() {
      for (const [signal, timeoutMs] of Object.entries(stopTimeoutsMs)) {
        if (ending !== undefined) break;
        await signalPostmaster(binaries, pid, signal as keyof typeof stopTimeoutsMs);
        await Promise.race([ended, delay(timeoutMs, undefined, { ref: false })]);
      }
      await ended;
    },
  };
}

async function isReady(postmaster: Postmaster, instance: Instance): Promise<boolean> {
  const file = await readPostmasterFile(instance.dataFolder);
  return file !== undefined && file.pid === postmaster.pid && file.ready;
}
