/** Starts servers in their own processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";
import { createInterface } from "node:readline";

/** A running server. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Result of `readLine` for the line that said that the server serves. */
  readonly said: string;
  /** Sends the server a message, and resolves to the next message from it. */
  ask(question: string): Promise<unknown>;
}

/** Command that starts a server. */
export interface ServerCommand {
  /** Absolute path of a TypeScript or JavaScript file, or of an executable, which cannot be asked. */
  readonly program: string;
  readonly args: readonly string[];
  /** Arguments of Node itself. */
  readonly nodeArgs?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Returns where the server serves if a line of its output says so, or undefined. Default: returns every line, so the
   * first one counts.
   */
  readonly readLine?: (line: string) => string | undefined;
}

/** Longest time for a normal shutdown of a server, in milliseconds. After it, the server is killed. */
const stopTimeoutMs = 30_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a server and waits until it serves. Throws if it ends instead. The server does not outlive this process, and
 * this process does not outlive a server that ends by itself: what waits for it would wait for ever.
 */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const { program, args, nodeArgs = [], environment, readLine = (line: string) => line } = command;
  const isScript = /\.[jt]s$/.test(program);
  const [executable, ...given] = isScript ? [process.execPath, ...nodeArgs, program, ...args] : [program, ...args];
  const child = spawn(executable ?? "", given, {
    stdio: ["ignore", "pipe", "inherit", ...(isScript ? (["ipc"] as const) : [])],
    // The caller's own settings are not passed on.
    env: { PATH: process.env.PATH, ...environment },
  });
  if (child.stdout === null) throw new Error("the output of a server is to be read");
  running.add(child);
  child.once("exit", () => running.delete(child));
  // The output is read to the end, since a server whose log is not read would block.
  const { promise: serving, resolve } = Promise.withResolvers<string>();
  createInterface(child.stdout).on("line", (line) => {
    const said = readLine(line);
    if (said !== undefined) resolve(said);
  });
  const ended = once(child, "exit").then(([status, signal]): never => {
    throw new Error(`${basename(program)} ${args[0] ?? ""} ended with ${signal ?? `status ${status}`}`);
  });
  const said = await Promise.race([serving, ended]);
  let isStopped = false;
  ended.catch((error: unknown) => {
    if (!isStopped) throw error;
  });
  const ask = async (question: string) => {
    child.send(question);
    const [answer] = await Promise.race([once(child, "message"), ended]);
    return answer;
  };
  const end = () => {
    isStopped = true;
    return stop(child);
  };
  return { pid: child.pid ?? 0, said, ask, [Symbol.asyncDispose]: end };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await exited;
  clearTimeout(late);
}
