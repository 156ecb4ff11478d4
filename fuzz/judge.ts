/** What the figures of a whole run must keep to. */
import { type HeldConnections, hasSettled, type Sample } from "./process-watch.ts";
import type { WitnessFigures } from "./witness.ts";

/** The figures. */
export interface Figures {
  readonly inputs: number;
  readonly witness: WitnessFigures;
  readonly samples: readonly Sample[];
  readonly loggedBytes: number;
  /** Undefined where it cannot be seen. */
  readonly connections: HeldConnections | undefined;
}

/** Memory of one server, in bytes. */
export interface MemoryFigures {
  readonly first: number;
  /** After a fifth of the inputs: everything has been used once. */
  readonly warm: number;
  readonly last: number;
  readonly most: number;
}

/** What a server may have more at the end than when it was warm. */
const growthFactor = 1.5;
const growthBytes = 128 * 1024 * 1024;
/** Of all servers' logs for each input, on average. */
const logBytesPerInput = 3_000;
/** What one run logs in any case. */
const logBytesAnyway = 200_000;
/** Samples whose median stands for a moment. */
const samplesOfMoment = 9;

/** The memory of each server; empty where it cannot be read. */
export function readMemory(samples: readonly Sample[]): MemoryFigures[] {
  const last = samples.at(-1);
  const warmInputs = (last?.inputs ?? 0) / 5;
  const warmAt = samples.findIndex(({ inputs }) => inputs >= warmInputs);
  return (last?.residentBytes ?? []).map((_, server) => {
    const bytes = samples.map(({ residentBytes }) => residentBytes[server] ?? 0);
    return {
      first: bytes[0] ?? 0,
      warm: medianOf(bytes.slice(warmAt, warmAt + samplesOfMoment)),
      last: medianOf(bytes.slice(-samplesOfMoment)),
      most: Math.max(...bytes),
    };
  });
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Calls `note` for each bound that is not kept. */
export function judge(figures: Figures, maxP99Ms: number, note: (kind: string, detail: string) => void): void {
  const { inputs, witness, samples, loggedBytes, connections } = figures;
  for (const { name, agents, operators } of witness.phases) {
    for (const [who, { p99Ms, count }] of Object.entries({ agents, operators })) {
      const detail = `${name}: p99 of good ${who} is ${Math.round(p99Ms)} ms; at most ${maxP99Ms} ms is allowed`;
      if (p99Ms > maxP99Ms) note(`good ${who} waited`, detail);
      if (count === 0) note(`good ${who} were not served`, `${name}: no call was answered`);
    }
  }
  for (const { warm, last } of readMemory(samples)) {
    const [from, to] = [warm, last].map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`);
    if (last > growthFactor * warm + growthBytes)
      note("memory grew", `from ${from} after a fifth of the inputs to ${to}`);
  }
  const perInput = Math.round((loggedBytes - logBytesAnyway) / Math.max(1, inputs));
  if (perInput > logBytesPerInput) {
    note("the log is loud", `${perInput} bytes for each input; at most ${logBytesPerInput} are allowed`);
  }
  if (!hasSettled(connections)) {
    const [before, after] = [connections?.before, connections?.after].map((counts) => counts?.join(" and "));
    note("servers hold what inputs had opened", `connections before the first input: ${before}; at the end: ${after}`);
  }
}
