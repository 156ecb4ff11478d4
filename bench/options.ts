/** Options of `npm run bench`. */
import { fail, flag, readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import type { Effort } from "./measure/rounds.ts";

/** Parts of a run, in order. */
export const parts = ["wire", "certificates", "peers", "signed", "workers", "memory", "garbage"] as const;

/** Name of a part. */
export type PartName = (typeof parts)[number];

/** Checked options. */
export interface Options {
  readonly effort: Effort;
  readonly only: ReadonlySet<PartName>;
  /** Sizes of fleets, in ascending order. */
  readonly machines: readonly number[];
  /** Maximum number of machines of a fleet that connect. */
  readonly callers: number;
  readonly inFlight: number;
  readonly write: boolean;
}

const help = `npm run bench -- [options]

  --rounds N       rounds that count, each with every server once (5)
  --seconds N      of load for each server in each round (3)
  --only PARTS     some of ${parts.join(",")} (all)
                   peers adds servers in Go to those of the smallest fleet, and needs Go
  --machines N,…   sizes of the fleets (1000,100000,1000000)
  --callers N      machines of a fleet that connect with a certificate, at most (5000)
  --in-flight N    calls under way while the most is measured (512)
  --write          put the tables into docs/performance.md, and draw the chart there; only with all parts
`;

/** Parses the arguments. If there is nothing to run, prints the help or what is wrong and exits the process. */
export function readOptions(args: readonly string[]): Options {
  const values = readScriptOptions(
    help,
    {
      rounds: { ...text, default: "5" },
      seconds: { ...text, default: "3" },
      only: { ...text, default: parts.join(",") },
      machines: { ...text, default: "1000,100000,1000000" },
      callers: { ...text, default: "5000" },
      "in-flight": { ...text, default: "512" },
      write: flag,
    },
    args,
  );
  const only = new Set(values.only.split(",").map((name) => toChoice("only", name, parts)));
  if (values.write && only.size < parts.length)
    fail("--write takes a run of all parts, so that one run stands behind all figures");
  return {
    effort: { rounds: toInteger("rounds", values.rounds), seconds: toInteger("seconds", values.seconds) },
    only,
    machines: values.machines
      .split(",")
      .map((count) => toInteger("machines", count))
      .sort((a, b) => a - b),
    callers: toInteger("callers", values.callers),
    inFlight: toInteger("in-flight", values["in-flight"]),
    write: values.write,
  };
}
