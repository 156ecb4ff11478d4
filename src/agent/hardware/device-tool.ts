/** Runs a tool that reads one device. It may be missing, print without end, or hang in the kernel. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** What a tool says about a device. */
export interface ToolAnswer {
  /** Its standard output. */
  readonly output: Buffer;
  readonly exitStatus: number;
}

/** The reason why there is no answer, worded to follow the device's name. */
export class DeviceToolError extends Error {
  override readonly name = "DeviceToolError";
}

/** The tool is not installed, so it can be asked about no device. */
export class ToolMissingError extends DeviceToolError {}

/** What to run, and for how long. */
export interface DeviceToolOptions {
  readonly tool: string;
  readonly args: readonly string[];
  /** The device that the tool reads: at most one process of a tool does at a time. */
  readonly device: string;
  /** Maximum size of the answer. */
  readonly maxBytes: number;
  /** Kills the tool when it aborts. The answer is not waited for any longer, even if the tool does not end. */
  readonly signal: AbortSignal;
}

/**
 * Processes that were killed but have not ended, by tool and device. They wait in the kernel, and a second one would
 * wait as well.
 */
const stuck = new Map<string, Promise<unknown>>();

/** Longest wait for a killed process to end, in milliseconds. After it, no other one is started for the device. */
const endMs = 1000;

/** Runs the tool until it ends or the signal aborts. Throws DeviceToolError. */
export async function runDeviceTool({ tool, args, device, maxBytes, signal }: DeviceToolOptions): Promise<ToolAnswer> {
  const key = `${tool} ${device}`;
  await Promise.race([stuck.get(key), sleep(endMs, undefined, { ref: false })]);
  if (stuck.has(key)) throw new DeviceToolError(`an earlier ${tool} still runs`);
  if (signal.aborted) throw new DeviceToolError(`there was no time left to run ${tool}`);
  // A separate process group can be killed as a whole.
  const child = spawn(tool, [...args], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  const ended = waitForEnd(child, tool);
  const givenUp = Promise.withResolvers<never>();
  const giveUp = (why: string) => {
    stuck.set(
      key,
      ended.catch(() => {}).finally(() => stuck.delete(key)),
    );
    kill(child);
    givenUp.reject(new DeviceToolError(why));
  };
  const onAbort = () => giveUp(`${tool} did not answer in time`);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const chunks = readOutput(child, maxBytes, () => giveUp(`${tool} printed more than ${maxBytes} bytes`));
    const exitStatus = await Promise.race([ended, givenUp.promise]);
    return { output: Buffer.concat(chunks), exitStatus };
  } finally {
    signal.removeEventListener("abort", onAbort);
    child.stdout?.destroy();
    child.unref();
  }
}

/** Collects the output of a process, and drops what exceeds the maximum. */
function readOutput(child: ChildProcess, maxBytes: number, onExcess: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    const hadRoom = size <= maxBytes;
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else if (hadRoom) onExcess();
  });
  // A pipe may fail while it is destroyed. The exit says the same.
  child.stdout?.on("error", () => {});
  return chunks;
}

/** Resolves to the exit status, once the output is complete. */
function waitForEnd(child: ChildProcess, tool: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") reject(new ToolMissingError(`${tool} is not installed`));
      else reject(new DeviceToolError(`${tool} cannot be started: ${error.message}`));
    });
    child.once("close", (status, signal) => {
      if (status === null) reject(new DeviceToolError(`${tool} was killed by ${signal}`));
      else resolve(status);
    });
  });
}

/** Kills the process and everything that it started. */
function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended between the check and the call.
  }
}
