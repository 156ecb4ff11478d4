/**
 * Asks a disk for its health by smartctl, which may be missing, be of any age, print without end, or hang in the
 * kernel.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** What smartctl says of one disk. */
export interface SmartctlAnswer {
  /** Its JSON, of which nothing is checked. */
  readonly json: Record<string, unknown>;
  /** Bits, as smartctl(8) has them under "EXIT STATUS". */
  readonly exitStatus: number;
}

/** Says why there is no answer, to stand after the disk's name. */
export class SmartctlError extends Error {
  override readonly name = "SmartctlError";
}

/** Says that there is no smartctl, for any disk. */
export class SmartctlMissingError extends SmartctlError {}

/**
 * Everything that `-a` prints, and the statistics of ATA and of solid state that it leaves out. Printed in one piece by
 * 7.0 and later.
 */
const options = ["-j", "-a", "-l", "devstat,1", "-l", "devstat,4", "-l", "ssd"];

/** Longest answer that is read; a disk with many entries in its logs makes about 200 KB. */
const maxAnswerBytes = 1024 * 1024;

/**
 * Smartctls that were killed and have not ended, by device: they wait in the kernel, and a second one would wait behind
 * them.
 */
const stuck = new Map<string, Promise<unknown>>();

/** How long one that was killed may take to end before the next one is not even started. */
const endMs = 1000;

/** Asks about the device node `device`, until `signal` aborts. Throws SmartctlError. */
export async function askSmartctl(device: string, signal: AbortSignal): Promise<SmartctlAnswer> {
  await Promise.race([stuck.get(device), sleep(endMs, undefined, { ref: false })]);
  if (stuck.has(device)) throw new SmartctlError("an earlier smartctl still runs");
  if (signal.aborted) throw new SmartctlError("there was no time left to run smartctl");
  // A process group of its own can be killed with all that is in it.
  const child = spawn("smartctl", [...options, device], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  const ended = waitForEnd(child);
  const givenUp = Promise.withResolvers<never>();
  const giveUp = (why: string) => {
    stuck.set(
      device,
      ended.catch(() => {}).finally(() => stuck.delete(device)),
    );
    kill(child);
    givenUp.reject(new SmartctlError(why));
  };
  const onAbort = () => giveUp("smartctl did not answer in time");
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const chunks = readOutput(child, () => giveUp(`smartctl printed more than ${maxAnswerBytes} bytes`));
    const exitStatus = await Promise.race([ended, givenUp.promise]);
    return parseAnswer(Buffer.concat(chunks).toString("utf8"), exitStatus);
  } finally {
    signal.removeEventListener("abort", onAbort);
    child.stdout?.destroy();
    child.unref();
  }
}

/** Collects what a process prints; more than the most that is read is dropped. */
function readOutput(child: ChildProcess, onExcess: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    const hadRoom = size <= maxAnswerBytes;
    size += chunk.length;
    if (size <= maxAnswerBytes) chunks.push(chunk);
    else if (hadRoom) onExcess();
  });
  // A pipe may fail while it is destroyed, which says nothing that the exit does not.
  child.stdout?.on("error", () => {});
  return chunks;
}

/** Resolves with the exit status, once the output is there as well. */
function waitForEnd(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") reject(new SmartctlMissingError("smartctl is not installed"));
      else reject(new SmartctlError(`smartctl cannot be started: ${error.message}`));
    });
    child.once("close", (status, signal) => {
      if (status === null) reject(new SmartctlError(`smartctl was killed by ${signal}`));
      else resolve(status);
    });
  });
}

function parseAnswer(text: string, exitStatus: number): SmartctlAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new SmartctlError(
      `smartctl ended with status ${exitStatus} and printed no JSON, which it supports from version 7.0`,
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new SmartctlError("smartctl printed JSON that is not an object");
  return { json: json as Record<string, unknown>, exitStatus };
}

/** With all that it started. */
function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended between the check and the call.
  }
}
