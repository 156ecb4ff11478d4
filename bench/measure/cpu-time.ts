/** What processes have cost, from Linux's /proc. */
import { readdir, readFile } from "node:fs/promises";

/** USER_HZ, which is 100 wherever Linux runs Node. */
const ticksPerSecond = 100;

interface ProcessTimes {
  readonly parent: number;
  /** Its own and those of children that have ended, user and system. */
  readonly ticks: number;
}

/**
 * CPU time so far, in seconds, of a process and all that it has started, ended ones included; undefined where there is no /proc, or no
 * such process.
 */
export async function readCpuSeconds(pid: number): Promise<number | undefined> {
  const processes = await readProcesses();
  if (!processes.has(pid)) return undefined;
  let ticks = 0;
  const family = new Set([pid]);
  // A set's iteration meets what is added on the way.
  for (const member of family) {
    ticks += processes.get(member)?.ticks ?? 0;
    for (const [each, { parent }] of processes) if (parent === member) family.add(each);
  }
  return ticks / ticksPerSecond;
}

/** The process that started another one. */
export async function readParent(pid: number): Promise<number | undefined> {
  return (await readProcess(pid.toString()))?.parent;
}

/** Memory that a process holds, in bytes; undefined where there is no /proc. */
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
  // The name of the process, in parentheses, may hold anything. Behind it: state, parent, … and from the 12th field on four times.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  return { parent: Number(fields[1]), ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) };
}
