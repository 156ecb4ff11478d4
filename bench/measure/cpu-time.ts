/** Reads CPU time and memory of processes from Linux's /proc. */
import { readdir, readFile } from "node:fs/promises";

/** USER_HZ, which is 100 on every Linux that runs Node. */
const ticksPerSecond = 100;

interface ProcessTimes {
  readonly parent: number;
  /** User and system time of the process and of its ended children. */
  readonly ticks: number;
}

/**
 * Returns the CPU time so far, in seconds, of a process and all its descendants, ended ones included. Returns undefined
 * if there is no /proc or no such process.
 */
export async function readCpuSeconds(pid: number): Promise<number | undefined> {
  const processes = await readProcesses();
  if (!processes.has(pid)) return undefined;
  let ticks = 0;
  const family = new Set([pid]);
  // Iterating a set includes members that are added meanwhile.
  for (const member of family) {
    ticks += processes.get(member)?.ticks ?? 0;
    for (const [each, { parent }] of processes) if (parent === member) family.add(each);
  }
  return ticks / ticksPerSecond;
}

/** Returns the parent of a process. */
export async function readParent(pid: number): Promise<number | undefined> {
  return (await readProcess(pid.toString()))?.parent;
}

/** Returns the resident memory of a process in bytes, or undefined if there is no /proc. */
export async function readResidentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

async function readProcesses(): Promise<Map<number, ProcessTimes>> {
  const names = await readdir("/proc").catch(() => []);
  const found = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map(async (name) => [Number(name), await readProcess(name)] as const),
  );
  return new Map(found.filter((each): each is readonly [number, ProcessTimes] => each[1] !== undefined));
}

async function readProcess(name: string): Promise<ProcessTimes | undefined> {
  const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => undefined);
  // The name of the process, in parentheses, may contain anything. After it come state, parent, …, and from the 12th
  // field on four times.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  return { parent: Number(fields[1]), ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) };
}
