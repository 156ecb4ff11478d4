/** What `npm run fuzz` is told. */
import { randomInt } from "node:crypto";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, flag, readScriptOptions, text, toInteger } from "../tools/script-options.ts";
import { inputKinds } from "./inputs/kinds.ts";

/** All options, checked. */
export interface Options {
  readonly seed: number;
  /** The number of the first input. */
  readonly from: number;
  /** How many inputs; Infinity when only the time bounds them. */
  readonly inputs: number;
  /** How long inputs begin; Infinity when only their number bounds them. */
  readonly seconds: number;
  /** Names of the kinds of input that are drawn; none for all of them. */
  readonly only: readonly string[];
  /** How often each input is sent. */
  readonly times: number;
  readonly concurrency: number;
  readonly keepGoing: boolean;
  /** Whether inputs come through proxies as well. */
  readonly hasProxies: boolean;
  /** Bound of good callers' 99th percentile, in milliseconds. */
  readonly maxP99Ms: number;
  /** How long servers may take to let go of what inputs held, in milliseconds; 0 neither waits for it nor judges it. */
  readonly settleMs: number;
  /** The command `bmaas` that is attacked: an absolute path. */
  readonly program: string;
}

/** A connection over which nothing comes may stay for 155 s, and for 31 s more when its last answer cannot be sent. */
const defaultSettleSeconds = 210;

const help = `npm run fuzz -- [options]

  --inputs N       inputs to send (20000, or any number with --seconds)
  --seconds S      how long to begin new ones
  --seed N         what all inputs are made from, 0 to 4294967295 (a new one; it is printed)
  --from N         number of the first input (1)
  --only KIND      draw inputs of this kind only; may be given again. Kinds:
${inputKinds.map(({ name }) => `                   "${name}"`).join("\n")}
  --times N        send each input so often (1)
  --concurrency N  inputs under way at once (32)
  --max-p99 MS     what the slowest hundredth of good callers' answers may take (5000)
  --settle S       how long servers may take to let go of the inputs' connections (${defaultSettleSeconds}); 0 does not wait for it
  --keep-going     go on after a fault, start a server again that ended, and list every kind of fault at the end
  --no-proxies     no input comes through a proxy: for a server that does not know BMAAS_AGENT_PROXIES yet
  --program FILE   the server's main file (src/main.ts); for example that of an older commit, in a work tree with its node_modules

TEST_DATABASE_URL names a PostgreSQL whose role may create databases; without it one is started for the run.
`;

const defaultInputs = 20_000;
const seeds = 2 ** 32;
const mainFile = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Reads the arguments; prints the help or what is wrong and ends the process where there is nothing to run. */
export function readOptions(args: readonly string[]): Options {
  const values = readScriptOptions(
    help,
    {
      inputs: text,
      seconds: text,
      seed: text,
      from: { ...text, default: "1" },
      only: { ...text, multiple: true, default: [] },
      times: { ...text, default: "1" },
      concurrency: { ...text, default: "32" },
      "max-p99": { ...text, default: "5000" },
      settle: { ...text, default: defaultSettleSeconds.toString() },
      "keep-going": flag,
      "no-proxies": flag,
      program: text,
    },
    args,
  );
  const { inputs, seconds, seed } = values;
  const count = inputs ?? (seconds === undefined ? defaultInputs.toString() : undefined);
  return {
    seed: seed === undefined ? randomInt(seeds) : toInteger("seed", seed, 0, seeds - 1),
    from: toInteger("from", values.from, 1),
    inputs: count === undefined ? Number.POSITIVE_INFINITY : toInteger("inputs", count, 1),
    seconds: seconds === undefined ? Number.POSITIVE_INFINITY : toInteger("seconds", seconds, 1),
    only: values.only.map(toKind),
    times: toInteger("times", values.times, 1),
    concurrency: toInteger("concurrency", values.concurrency, 1),
    maxP99Ms: toInteger("max-p99", values["max-p99"], 1),
    settleMs: toInteger("settle", values.settle, 0) * 1_000,
    keepGoing: values["keep-going"],
    hasProxies: !values["no-proxies"],
    program: resolve(values.program ?? mainFile),
  };
}

function toKind(name: string): string {
  return inputKinds.some((kind) => kind.name === name) ? name : fail(`--only: there is no kind "${name}"; see --help`);
}
