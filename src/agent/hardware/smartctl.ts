/**
 * Asks a disk for its health by smartctl, which may be missing, be of any version, print without end, or hang in the
 * kernel.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

/** smartctl's answer about one disk. */
export interface SmartctlAnswer {
  /** Its JSON, not validated. */
  readonly json: Record<string, unknown>;
  /** Bits as in smartctl(8), "EXIT STATUS". */
  readonly exitStatus: number;
}

/** The reason why there is no answer, worded to follow the disk's name. */
export class SmartctlError extends Error {
  override readonly name = "SmartctlError";
}

/** smartctl is not installed, so no disk can be asked. */
export class SmartctlMissingError extends SmartctlError {}

/**
 * Options for everything that `-a` prints, and for the statistics of ATA and of solid state disks, which `-a` leaves
 * out. Versions from 7.0 on print all of it in one JSON text.
 */
const options = ["-j", "-a", "-l", "devstat,1", "-l", "devstat,4", "-l", "ssd"];

/** Maximum size of an answer. A disk with many entries in its logs needs about 200 KB. */
const maxAnswerBytes = 1024 * 1024;

/**
 * Processes of smartctl that were killed but have not ended, by device. They wait in the kernel, and a second one would
 * wait as well.
 */
const stuck = new Map<string, Promise<unknown>>();

/** Longest wait for a killed smartctl to end, in milliseconds. After it, no other one is started for the device. */
const endMs = 1000;

/** Asks about the device node `device`, at most until `signal` aborts. Throws SmartctlError. */
export async function askSmartctl(device: string, signal: AbortSignal): Promise<SmartctlAnswer> {
  await Promise.race([stuck.get(device), sleep(endMs, undefined, { ref: false })]);
  if (stuck.has(device)) throw new SmartctlError("an earlier smartctl still runs");
  if (signal.aborted) throw new SmartctlError("there was no time left to run smartctl");
  // A separate process group can be killed as a whole.
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

/** Collects the output of a process, and drops what exceeds the maximum. */
function readOutput(child: ChildProcess, onExcess: () => void): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    const hadRoom = size <= maxAnswerBytes;
    size += chunk.length;
    if (size <= maxAnswerBytes) chunks.push(chunk);
    else if (hadRoom) onExcess();
  });
  // A pipe may fail while it is destroyed. The exit says the same.
  child.stdout?.on("error", () => {});
  return chunks;
}

/** Resolves to the exit status, once the output is complete. */
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

/** Kills the process and everything that it started. */
function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended between the check and the call.
  }
}
