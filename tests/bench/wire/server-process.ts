/** A server of the wire's comparison as a process of its own, with what it costs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A server that serves. */
export interface ServerUnderTest extends Disposable {
  readonly port: number;
  /** CPU time so far, in seconds, of all its threads; undefined where there is no /proc. */
  readCpuSeconds(): Promise<number | undefined>;
}

const program = fileURLToPath(new URL("server.ts", import.meta.url));
/** Of /proc/PID/stat: USER_HZ, which is 100 wherever Linux runs Node. */
const ticksPerSecond = 100;

/** Starts a server by its name. */
export async function startServer(name: string): Promise<ServerUnderTest> {
  const child = spawn(process.execPath, [program, name], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), "line"),
    once(child, "exit").then(([status]) => {
      throw new Error(`the server ${name} ended with status ${status}`);
    }),
  ])) as [string];
  return {
    port: Number(line),
    readCpuSeconds: () => readCpuSeconds(child.pid ?? 0),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

async function readCpuSeconds(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name of the process, in parentheses, may hold anything; user and system time are the 12th and 13th fields behind it.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields && (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
