/** Acts on many machines, a few at a time, and reports the outcome of each. */
import type { JsonValue } from "@bufbuild/protobuf";
import { changeEvenUnheard } from "../lost-output.ts";
import type { BatchedAct } from "./act-in-batches.ts";
import type { Operator } from "./admin-client.ts";
import { CommandFailure, exitStatus } from "./exit-status.ts";
import { toCommandFailure } from "./explain-failure.ts";
import { note, print, printJson } from "./output.ts";
import type { Target, TargetFlags } from "./targets.ts";

/** The outcome for one machine. */
export interface Outcome<T> {
  readonly target: Target;
  /** The answer; may be present together with a failure. */
  readonly value?: T;
  readonly failure?: CommandFailure;
}

/** How outcomes are reported. */
export interface Report<T> {
  /** Returns text for people, including the machine's id. */
  readonly describe: (value: T, target: Target) => string;
  /** Returns an object for programs. */
  readonly toJson: (value: T) => JsonValue;
  /** What the targets are, if they are not machines. */
  readonly kind?: TargetKind;
}

/** Names for the targets of a command. */
export interface TargetKind {
  /** Plural for people. */
  readonly noun: string;
  /** Name of a target's id in JSON. */
  readonly idName: string;
}

const machineKind: TargetKind = { noun: "machines", idName: "machineId" };

/** Acts on one target, by a call for each or by batches. */
export type Act<T> = ((target: Target) => Promise<T>) | BatchedAct<T>;

/** Maximum numbers of concurrent calls for one target each, and of concurrent batches. */
const concurrency = 8;
const batchConcurrency = 2;

/** Exit statuses of failures that affect all machines, so that the rest are not tried. */
const hopeless: readonly number[] = [exitStatus.notAllowed, exitStatus.serverAway];

/**
 * Acts on each target and resolves to the outcomes in the targets' order. `tell` is called with each outcome as it
 * comes.
 */
export async function actOnEach<T>(
  operator: Operator,
  targets: readonly Target[],
  act: Act<T>,
  tell: (outcome: Outcome<T>) => void = () => {},
): Promise<readonly Outcome<T>[]> {
  const outcomes = new Map<Target, Outcome<T>>();
  let givenUp: CommandFailure | undefined;
  /** How several targets are acted on by one call. */
  let batched = typeof act === "function" || targets.length === 1 ? undefined : act;
  const actOnOne = typeof act === "function" ? act : act.one;
  const waiting = (batched?.group(targets) ?? targets.map((target) => [target])).toReversed();
  const works = Math.min(batched === undefined ? concurrency : batchConcurrency, targets.length);
  const work = async () => {
    for (let group = waiting.pop(); group !== undefined; group = waiting.pop()) {
      const failure = givenUp && notTried(givenUp);
      const tried = failure ? group.map((target) => ({ target, failure })) : await tryOn(group);
      if (tried === undefined) {
        // An older server: the same targets are next, one by one.
        batched = undefined;
        waiting.push(...group.toReversed().map((target) => [target]));
      }
      for (const outcome of tried ?? []) {
        if (hopeless.includes(outcome.failure?.status ?? 0)) givenUp ??= outcome.failure;
        outcomes.set(outcome.target, outcome);
        tell(outcome);
      }
    }
  };
  /** Returns undefined for a group that has to be acted on one by one. */
  const tryOn = async (group: readonly Target[]): Promise<Outcome<T>[] | undefined> => {
    const [first] = group;
    const isOne = first !== undefined && group.length === 1;
    const results = isOne ? await Promise.allSettled([attempt(actOnOne, first)]) : await batched?.many(group);
    return results?.map((result, index) => {
      const target = group[index] as Target;
      if (result.status === "fulfilled") return { target, value: result.value };
      const failure = toCommandFailure(result.reason, operator.server);
      if (failure instanceof CommandFailure) return { target, failure };
      throw failure;
    });
  };
  await changeEvenUnheard(() => Promise.all(Array.from({ length: works }, work)));
  return targets.map((target) => outcomes.get(target) as Outcome<T>);
}

/** Acts on one target; also an error that is thrown at once becomes a rejection. */
async function attempt<T>(act: (target: Target) => Promise<T>, target: Target): Promise<T> {
  return await act(target);
}

function notTried({ message, status }: CommandFailure): CommandFailure {
  return new CommandFailure(`not tried: ${message}`, status);
}

/** Returns whether exactly one machine was named by its id, so that the output need not distinguish machines. */
export function isSingle(targets: readonly Target[], { selector }: TargetFlags): boolean {
  return selector === undefined && targets.length === 1;
}

/** Acts on each target and reports the outcomes as `reportOutcomes` does. Throws CommandFailure if one failed. */
export async function actAndReport<T>(
  operator: Operator,
  targets: readonly Target[],
  flags: TargetFlags & { readonly json?: boolean },
  { act, ...report }: Report<T> & { readonly act: Act<T> },
): Promise<void> {
  const single = isSingle(targets, flags);
  const tell = single || flags.json ? undefined : (outcome: Outcome<T>) => tellOutcome(outcome, report);
  const outcomes = await actOnEach(operator, targets, act, tell);
  reportOutcomes(outcomes, { ...report, single, json: flags.json === true });
}

/** Reports the outcome for one of several machines: a failure on standard error, a success on standard output. */
export function tellOutcome<T>(
  { target, value, failure }: Outcome<T>,
  { describe }: Pick<Report<T>, "describe">,
): void {
  if (failure !== undefined) {
    for (const line of [`bmaas: ${target.machineId}: ${failure.message}`, ...failure.more]) note(line);
  } else if (value !== undefined) print(describe(value, target));
}

/**
 * Ends a command that acted on machines. For a single machine, its answer is the output, and its failure is the
 * command's. Several machines are a list under "results" in JSON; as text, they have been reported one by one. The exit
 * status is that of the failed machines if all have the same one, or else 1.
 */
export function reportOutcomes<T>(
  outcomes: readonly Outcome<T>[],
  {
    describe,
    toJson,
    kind = machineKind,
    single,
    json,
  }: Report<T> & { readonly single: boolean; readonly json: boolean },
): void {
  const [first] = outcomes;
  if (single && first !== undefined) {
    if (json && first.value !== undefined) printJson(toJson(first.value));
    if (first.failure !== undefined) throw first.failure;
    if (!json) tellOutcome(first, { describe });
    return;
  }
  if (json) printJson({ results: outcomes.map((outcome) => outcomeToJson(outcome, toJson, kind)) });
  const failures = outcomes.flatMap(({ failure }) => failure ?? []);
  if (failures.length === 0) return;
  const [status = exitStatus.failed, ...others] = new Set(failures.map((failure) => failure.status));
  const message = `${failures.length} of ${outcomes.length} ${kind.noun} failed`;
  throw new CommandFailure(message, others.length === 0 ? status : exitStatus.failed);
}

function outcomeToJson<T>(
  { target, value, failure }: Outcome<T>,
  toJson: Report<T>["toJson"],
  { idName }: TargetKind,
): JsonValue {
  const answer = value === undefined ? {} : (toJson(value) as Record<string, JsonValue>);
  const error = failure && { code: failure.code ?? null, message: failure.message, status: failure.status };
  return { [idName]: target.machineId, ...answer, ...(error && { error }) };
}

/** Returns help about the JSON of commands that act on several machines, or on several of another kind. */
export function severalHelp(response: string, { noun, idName }: TargetKind = machineKind): string {
  return (
    `\nWith --json: one ${response} of bmaas.admin.v1 for one ${noun.slice(0, -1)} named by its id; for several ids or a selector` +
    `\n{"results": […]}, each with ${idName} and the fields of the response, or error: { code, message, status }.` +
    `\nThe exit status is that of the failed ${noun} if all failed alike, else 1.`
  );
}
