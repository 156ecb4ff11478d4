/** What the servers of a run hold: memory over its time, and connections; from Linux's /proc, and nothing elsewhere. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { readResidentBytes } from "../bench/measure/cpu-time.ts";

/** A server to look at. */
export interface WatchedProcess {
  readonly pid: number;
  /** Of its listeners. */
  readonly ports: readonly number[];
}

/** The memory of all servers at a moment. */
export interface Sample {
  /** How many inputs had begun. */
  readonly inputs: number;
  /** In the order of the servers. */
  readonly residentBytes: readonly number[];
}

/** The connections of each server before the first input and at the end. */
export interface HeldConnections {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const sampleMs = 1_000;
/** Good callers may have connected anew while a connection of theirs has not been let go of. */
const spareConnections = 5;
/** Of a socket that listens, in /proc/net/tcp. */
const listening = "0A";

/** Takes samples until it is ended. */
export class ProcessWatch {
  readonly samples: Sample[] = [];
  readonly #listServers: () => readonly WatchedProcess[];
  readonly #readInputs: () => number;
  readonly #timer: NodeJS.Timeout;
  #before: readonly number[] | undefined;

  constructor(listServers: () => readonly WatchedProcess[], readInputs: () => number) {
    this.#listServers = listServers;
    this.#readInputs = readInputs;
    this.#timer = setInterval(() => void this.#sample(), sampleMs);
  }

  /** What servers hold now is what they hold without any input. */
  async begin(): Promise<void> {
    await this.#sample();
    this.#before = await this.#countConnections();
  }

  /**
   * Waits until servers hold no more connections than they did at first, but no longer than that; undefined where it
   * cannot be seen.
   */
  async settle(timeoutMs: number): Promise<HeldConnections | undefined> {
    const before = this.#before;
    for (const endsAtMs = performance.now() + timeoutMs; ; await delay(sampleMs)) {
      const after = await this.#countConnections();
      if (before === undefined || after === undefined) return undefined;
      if (hasSettled({ before, after }) || performance.now() > endsAtMs) return { before, after };
    }
  }

  end(): readonly Sample[] {
    clearInterval(this.#timer);
    return this.samples;
  }

  async #sample(): Promise<void> {
    const residentBytes = await Promise.all(this.#listServers().map(({ pid }) => readResidentBytes(pid)));
    if (!residentBytes.every((bytes) => bytes !== undefined)) return;
    this.samples.push({ inputs: this.#readInputs(), residentBytes });
  }

  async #countConnections(): Promise<readonly number[] | undefined> {
    const counts = await Promise.all(this.#listServers().map(countConnections));
    return counts.every((count) => count !== undefined) ? counts : undefined;
  }
}

/** Whether no server is seen to hold what an input had opened. */
export function hasSettled(held: HeldConnections | undefined): boolean {
  return held?.after.every((count, server) => count <= (held.before[server] ?? 0) + spareConnections) ?? true;
}

/**
 * Connections of a process over which it is called, also those that it holds although the other side has reset them:
 * the system lists these no more. Undefined where there is no /proc, or no such process.
 */
async function countConnections({ pid, ports }: WatchedProcess): Promise<number | undefined> {
  try {
    const files = await readdir(`/proc/${pid}/fd`);
    const targets = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => "")));
    const others = await listOtherSockets(pid, ports);
    return targets.filter((target) => target.startsWith("socket:") && !others.has(target)).length;
  } catch {
    return undefined;
  }
}

/** Sockets that listen, are of other ports, or are none of TCP, as the names of open files show them. */
async function listOtherSockets(pid: number, ports: readonly number[]): Promise<Set<string>> {
  const readRows = async (table: string) => {
    const text = await readFile(`/proc/${pid}/net/${table}`, "utf8").catch(() => "");
    return text.split("\n").map((line) => line.trim().split(/\s+/));
  };
  const [unix, ...tcp] = await Promise.all(["unix", "tcp", "tcp6"].map(readRows));
  const isOther = ([, local = "", , state]: string[]) =>
    state === listening || !ports.includes(Number.parseInt(local.split(":")[1] ?? "", 16));
  const inodes = [
    ...(unix ?? []).map((row) => row[6]),
    ...tcp
      .flat()
      .filter(isOther)
      .map((row) => row[9]),
  ];
  return new Set(inodes.map((inode) => `socket:[${inode}]`));
}
