/** A server as a process of its own, with what it costs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { basename } from "node:path";
import { createInterface } from "node:readline";

/** A server that serves. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** What `readLine` made of the line by which it said so. */
  readonly said: string;
  /** Sends it a message, and resolves with the next one that it sends. */
  ask(question: string): Promise<unknown>;
}

/** What is started. */
export interface ServerCommand {
  /** TypeScript or JavaScript, as an absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Of Node itself. */
  readonly nodeArgs?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Finds in a line of its output that it serves, and where; undefined for other lines. Default: the first line is that. */
  readonly readLine?: (line: string) => string | undefined;
}

/** Longest that a server may take to end in good order, in milliseconds. */
const stopTimeoutMs = 30_000;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a server and waits until it serves; throws when it ends instead. It does not outlive this process. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const { program, args, nodeArgs = [], environment, readLine = (line: string) => line } = command;
  const child = spawn(process.execPath, [...nodeArgs, program, ...args], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    // Nothing of the caller's settings.
    env: { PATH: process.env.PATH, ...environment },
  });
  if (child.stdout === null) throw new Error("the output of a server is to be read");
  running.add(child);
  child.once("exit", () => running.delete(child));
  // Its output is read to the end: a server whose log nobody reads would stand still.
  const { promise: serving, resolve } = Promise.withResolvers<string>();
  createInterface(child.stdout).on("line", (line) => {
    const said = readLine(line);
    if (said !== undefined) resolve(said);
  });
  const ended = once(child, "exit").then(([status]): never => {
    throw new Error(`${basename(program)} ${args[0] ?? ""} ended with status ${status}`);
  });
  ended.catch(() => {});
  const said = await Promise.race([serving, ended]);
  const ask = async (question: string) => {
    child.send(question);
    const [answer] = await Promise.race([once(child, "message"), ended]);
    return answer;
  };
  return { pid: child.pid ?? 0, said, ask, [Symbol.asyncDispose]: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await exited;
  clearTimeout(late);
}
