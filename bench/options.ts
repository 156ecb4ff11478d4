/** Options of `npm run bench`. */
import { parseArgs } from "node:util";
import type { Effort } from "./measure/rounds.ts";

/** Parts of a run, in order. */
export const parts = ["wire", "certificates", "signed", "workers", "memory"] as const;

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
  --machines N,…   sizes of the fleets (1000,100000,1000000)
  --callers N      machines of a fleet that connect with a certificate, at most (5000)
  --in-flight N    calls under way while the most is measured (512)
  --write          put the tables into docs/performance.md, and draw the chart there; only with all parts
`;

/** Parses the arguments. If there is nothing to run, prints the help or what is wrong and exits the process. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  if (values.help) {
    process.stdout.write(help);
    process.exit();
  }
  const only = new Set(values.only.split(",").map(toPart));
  if (values.write && only.size < parts.length)
    fail("--write takes a run of all parts, so that one run stands behind all figures");
  return {
    effort: { rounds: toPositive("rounds", values.rounds), seconds: toPositive("seconds", values.seconds) },
    only,
    machines: values.machines
      .split(",")
      .map((text) => toPositive("machines", text))
      .sort((a, b) => a - b),
    callers: toPositive("callers", values.callers),
    inFlight: toPositive("in-flight", values["in-flight"]),
    write: values.write,
  };
}

function parse(args: readonly string[]) {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: text("5"),
        seconds: text("3"),
        only: text(parts.join(",")),
        machines: text("1000,100000,1000000"),
        callers: text("5000"),
        "in-flight": text("512"),
        write: flag,
        help: flag,
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function toPart(name: string): PartName {
  return parts.find((part) => part === name) ?? fail(`--only: "${name}" is none of ${parts.join(", ")}`);
}

function toPositive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`--${name}: "${text}" is not a number from 1 up`);
  return value;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
