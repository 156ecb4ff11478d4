/**
 * Sends all inputs of a run. A server that ends is started again, and the input that did it is looked for among the
 * latest.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Fault, Faults } from "./faults.ts";
import type { InputRunner } from "./input-runner.ts";
import type { Stage } from "./stage.ts";
import type { Witness } from "./witness.ts";

/** What it takes. */
export interface SendContext {
  /** Numbers of the first input and of the last; Infinity for no last one. */
  readonly from: number;
  readonly last: number;
  /** Go on after a fault. */
  readonly keepGoing: boolean;
  readonly runner: InputRunner;
  readonly stage: Stage;
  readonly faults: Faults;
  readonly witness: Pick<Witness, "pause" | "resume">;
  /** No more inputs begin. */
  readonly stop: AbortSignal;
  readonly interruption: Interruption;
  readonly say: (line: string) => void;
}

/** What inputs that take seconds have after the last one has begun, in milliseconds. */
const graceMs = 5_000;
/**
 * How often an input is tried that may be the cause of a fault, how often at a time, and for how long; milliseconds.
 */
const tries = 3;
const copies = 8;
const tryMs = 1_000;
/** What it may have done shows by then, and at the latest, in milliseconds. */
const showsMs = 60;
const latestMs = 4_000;
/** How long a cause is looked for at most, in milliseconds. */
const searchMs = 60_000;

/** Ends the inputs that are under way at once, so that something can be seen to. */
export class Interruption {
  #controller = new AbortController();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  interrupt(): void {
    this.#controller.abort();
  }

  renew(): AbortSignal {
    this.#controller = new AbortController();
    return this.signal;
  }
}

/** Resolves when all inputs have ended, or at the first fault unless told to go on. */
export async function sendInputs(context: SendContext): Promise<void> {
  const { from, last, keepGoing, runner, faults, stop, interruption } = context;
  for (let next = from; next <= last && !stop.aborted; ) {
    const end = interruption.renew();
    next = await runner.runMany(next, last, AbortSignal.any([stop, end]), end);
    await Promise.race([runner.settle(), delay(graceMs)]);
    interruption.interrupt();
    await runner.settle();
    await restartEnded(context);
    for (const fault of faults.unexplained.splice(0)) await explain(context, fault);
    if (faults.all.length > 0 && !keepGoing) return;
  }
}

async function restartEnded({ stage, faults, witness, say }: SendContext): Promise<void> {
  for (const server of faults.ended) {
    say("a server ended and is started again …");
    witness.pause(server);
    await stage.restart(server);
    faults.noteRestart(server);
    witness.resume(server);
  }
}

/** Sends the inputs that may have done it one by one, each several times at once, until it happens again. */
async function explain(context: SendContext, fault: Fault): Promise<void> {
  const { runner, stage, faults, witness, say } = context;
  say(`which input did it? ${fault.kind} …`);
  const trials: { readonly input: number; readonly beganAtMs: number; readonly steps: readonly string[] }[] = [];
  let againAtMs: number | undefined;
  for (const server of stage.servers.keys()) witness.pause(server);
  faults.divert = ({ kind, atMs }) => {
    if (kind === fault.kind) againAtMs ??= atMs;
  };
  const endsAtMs = performance.now() + searchMs;
  const isSearching = () => againAtMs === undefined && faults.ended.size === 0 && performance.now() < endsAtMs;
  // What takes seconds seldom shows in a try.
  const suspects = fault.suspects.toSorted((a, b) => Number(runner.isSlow(a)) - Number(runner.isSlow(b)));
  for (const input of suspects) {
    for (let left = tries; left > 0 && isSearching(); left--) {
      const beganAtMs = performance.now();
      const signal = AbortSignal.timeout(tryMs);
      const [steps = []] = await Promise.all(Array.from({ length: copies }, () => runner.runOne(input, signal)));
      trials.push({ input, beganAtMs, steps });
      await delay(showsMs);
    }
  }
  // Some things are only told when they can be told from others.
  await delay(latestMs);
  faults.divert = undefined;
  const found = trials.findLast(({ beganAtMs }) => beganAtMs <= (againAtMs ?? Number.NEGATIVE_INFINITY));
  if (found !== undefined) Object.assign(fault, { input: found.input, steps: found.steps });
  await restartEnded(context);
  for (const server of stage.servers.keys()) witness.resume(server);
}
