/** Reads what V8 prints of its garbage collections. */

/** Arguments with which Node prints a line for each collection. */
export const traceArgs: readonly string[] = ["--trace-gc", "--trace-gc-nvp"];

/** A garbage collection. */
export interface Collection {
  /** Whether it collected the old generation, and is no scavenge. */
  readonly isMajor: boolean;
  readonly pauseMs: number;
  /** Bytes that were allocated since the collection before. */
  readonly allocated: number;
  /** Bytes of new objects that survived and were moved to the old generation. */
  readonly promoted: number;
  /** Bytes of new objects that survived for the first time and stayed in the new generation. */
  readonly copied: number;
}

/** Returns the collection that a line of a process's output describes, or undefined for any other line. */
export function readCollection(line: string): Collection | undefined {
  if (!/^\[\d+:0x[\da-f]+/.test(line)) return undefined;
  const fields = new Map([...line.matchAll(/(\S+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  const kind = fields.get("gc");
  if (kind === undefined || !fields.has("allocated")) return undefined;
  const read = (name: string) => Number(fields.get(name));
  return {
    isMajor: kind !== "s",
    pauseMs: read("pause"),
    allocated: read("allocated"),
    promoted: read("promoted"),
    copied: read("new_space_survived"),
  };
}

/** The collections of one process. */
export class GcTrace {
  #collections: Collection[] = [];

  /** Takes a line of the process's output, and returns whether it describes a collection. */
  take(line: string): boolean {
    const collection = readCollection(line);
    if (collection !== undefined) this.#collections.push(collection);
    return collection !== undefined;
  }

  /** Returns the collections since the last call of this function. */
  drain(): readonly Collection[] {
    const collections = this.#collections;
    this.#collections = [];
    return collections;
  }
}

/** Figures of the collections during a number of calls. */
export interface Garbage {
  readonly scavenges: number;
  /** NaN for too few scavenges, since a collection's allocations may have begun before the calls. */
  readonly bytesPerCall: number;
  /** Share of the allocated bytes that survived a scavenge for the first time. */
  readonly copiedShare: number;
  /** Share of the allocated bytes that scavenges moved to the old generation. */
  readonly promotedShare: number;
  /** Sum of the scavenges' pauses, in milliseconds. */
  readonly scavengeMs: number;
  readonly majors: number;
  readonly longestMajorMs: number;
}

/** Least number of scavenges that show what calls allocate. */
const leastScavenges = 5;

/** Sums up the collections of one process during `calls` calls. */
export function sumUp(collections: readonly Collection[], calls: number): Garbage {
  const scavenges = collections.filter(({ isMajor }) => !isMajor);
  const majors = collections.filter(({ isMajor }) => isMajor);
  const sum = (of: readonly Collection[], name: Exclude<keyof Collection, "isMajor">) =>
    of.reduce((total, each) => total + each[name], 0);
  const allocated = sum(scavenges, "allocated");
  return {
    scavenges: scavenges.length,
    bytesPerCall: scavenges.length < leastScavenges ? Number.NaN : sum(collections, "allocated") / calls,
    copiedShare: sum(scavenges, "copied") / allocated,
    promotedShare: sum(scavenges, "promoted") / allocated,
    scavengeMs: sum(scavenges, "pauseMs"),
    majors: majors.length,
    longestMajorMs: Math.max(0, ...majors.map(({ pauseMs }) => pauseMs)),
  };
}
