/** One run from its first input to its verdict: servers are started, watched while inputs come, and judged. */
import { setTimeout as delay } from "node:timers/promises";
import { readCpuSeconds } from "../bench/measure/cpu-time.ts";
import { type Fault, Faults } from "./faults.ts";
import { InputRunner } from "./input-runner.ts";
import { type Figures, judge } from "./judge.ts";
import type { Options } from "./options.ts";
import { ProcessWatch } from "./process-watch.ts";
import { Interruption, sendInputs } from "./send-inputs.ts";
import { type Stage, setStage } from "./stage.ts";
import { startWitness } from "./witness.ts";

/** What came of a run. */
export interface CampaignResult extends Figures {
  readonly faults: readonly Fault[];
  /** How often each kind of fault was seen. */
  readonly faultCounts: ReadonlyMap<string, number>;
  /** Inputs of each kind. */
  readonly kinds: ReadonlyMap<string, number>;
  /** From the first input until the last one had ended. */
  readonly seconds: number;
  /**
   * CPU time of all processes of the run but a PostgreSQL that was there before, in seconds; undefined where it cannot
   * be read.
   */
  readonly cpuSeconds: number | undefined;
}

/** Where a run has its files, and an empty database. */
export interface CampaignPlace {
  readonly folder: string;
  readonly databaseUrl: string;
}

/** Times before the first input and after the last one, in milliseconds. */
const beforeMs = 3_000;
const afterMs = 5_000;
/** What a call of a good agent or operator may take, in milliseconds. */
const witnessTimeoutMs = 30_000;
/** Between two lines about how it goes, in milliseconds. */
const progressMs = 10_000;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Runs it, until `stop` aborts at the latest; `say` is told how it goes. Throws when servers cannot be started.
 */
export async function runCampaign(
  options: Options,
  place: CampaignPlace,
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<CampaignResult> {
  const campaign = new Campaign(options, say);
  await using stage = await setStage({
    ...options,
    ...place,
    onProblem: (server, problem) => campaign.faults.noteProblem(server, problem),
  });
  say(`the servers are processes ${stage.servers.map(({ pid }) => pid).join(" and ")}`);
  return await campaign.run(stage, stop);
}

class Campaign {
  readonly faults: Faults;
  readonly #options: Options;
  readonly #say: (line: string) => void;
  readonly #interruption = new Interruption();
  #runner: InputRunner | undefined;
  #startedAtMs = performance.now();

  constructor(options: Options, say: (line: string) => void) {
    this.#options = options;
    this.#say = say;
    this.faults = new Faults(
      (atMs) => this.#readProgress(atMs),
      () => this.#interruption.interrupt(),
    );
  }

  #readProgress(atMs: number) {
    const seconds = (performance.now() - this.#startedAtMs) / 1_000;
    return { inputs: this.#runner?.begun ?? 0, seconds, suspects: this.#runner?.listSuspects(atMs) ?? [] };
  }

  async run(stage: Stage, asked: AbortSignal): Promise<CampaignResult> {
    const { seed, from, inputs, only, times, concurrency, seconds, keepGoing, maxP99Ms, settleMs } = this.#options;
    const { faults } = this;
    const runner = new InputRunner({
      ...{ seed, only, times, concurrency, target: stage.target },
      onViolation: (number, what, steps) => faults.noteSeen(nameKind(what), what, number, steps),
    });
    this.#runner = runner;
    const watch = new ProcessWatch(
      () => stage.servers,
      () => runner.begun,
    );
    const witness = startWitness(stage.witnessed, witnessTimeoutMs, (what) => faults.noteSeen(nameKind(what), what));
    await witness.ready;
    await delay(beforeMs);
    await watch.begin();
    witness.beginPhase("during");
    this.#startedAtMs = performance.now();
    const progress = setInterval(() => this.#sayProgress(watch), progressMs);
    const stop = AbortSignal.any([AbortSignal.timeout(Math.min(seconds * 1_000, longestTimerMs)), asked]);
    const sending = { from, last: from + inputs - 1, keepGoing, runner, stage, faults, witness, stop };
    await sendInputs({ ...sending, interruption: this.#interruption, say: this.#say });
    const took = (performance.now() - this.#startedAtMs) / 1_000;
    clearInterval(progress);
    // A run that was broken off is no measure of anything.
    const isWhole = faults.all.length === 0 || keepGoing;
    witness.beginPhase("after");
    if (isWhole) await delay(afterMs);
    const connections = isWhole && settleMs > 0 ? await watch.settle(settleMs) : undefined;
    const figures = {
      ...{ inputs: runner.begun, connections, loggedBytes: stage.loggedBytes },
      witness: await witness.stop(),
      samples: watch.end(),
    };
    if (isWhole) judge(figures, maxP99Ms, (...fault) => faults.noteFigure(...fault));
    return {
      ...figures,
      cpuSeconds: await readCpuSeconds(process.pid),
      faults: faults.all,
      faultCounts: faults.counts,
      kinds: runner.counts,
      seconds: took,
    };
  }

  #sayProgress(watch: ProcessWatch): void {
    const { inputs, seconds } = this.#readProgress(performance.now());
    const memory = watch.samples.at(-1)?.residentBytes.map((bytes) => Math.round(bytes / 2 ** 20)) ?? [];
    const faults = this.faults.all.map(({ kind }) => `; ${kind}`).join("");
    this.#say(`${inputs} inputs in ${Math.round(seconds)} s, servers at ${memory.join(" and ")} MiB${faults}`);
  }
}

/** What is the same for all faults of a kind: numbers and what calls were about are not. */
function nameKind(what: string): string {
  return what.replace(/: .*$/s, "").replaceAll(/\d+/g, "n");
}
