/** Formats events of machines for people. */
import { formatInstant } from "../../base/time-text.ts";
import { shorten } from "../text-width.ts";

/** Details of an event, by name. */
type Detail = Readonly<Record<string, string>>;

/** What happened several times within an hour, which the history has as one event. */
export interface EventRun {
  /** How often, as the server writes it. */
  readonly times: string;
  readonly lastTime: Date;
  /** The event's other details. */
  readonly others: Detail;
}

/** The details that make an event a run, by its kind, and what is said of it. */
const runs: Readonly<Record<string, { readonly times: string; readonly lastTime: string; readonly verb: string }>> = {
  agent_booted: { times: "boots", lastTime: "lastBootTime", verb: "booted" },
  health_changed: { times: "changes", lastTime: "lastChangeTime", verb: "changed" },
};

/** Returns the run that an event stands for, or undefined for what happened once. */
export function findRun({ kind, detail }: { readonly kind: string; readonly detail: Detail }): EventRun | undefined {
  const names = Object.hasOwn(runs, kind) ? runs[kind] : undefined;
  if (names === undefined) return undefined;
  const { [names.times]: times, [names.lastTime]: last = "", ...others } = detail;
  const lastTime = new Date(last);
  if (times === undefined || Number.isNaN(lastTime.getTime())) return undefined;
  return { times: shorten(times, maxValueWidth), lastTime, others };
}

/** Maximum width of a value, in columns. JSON contains the whole value. */
const maxValueWidth = 80;

/** Returns the details of an event on one line, such as "generation=3 result=success"; a run in words. */
export function describeDetail(event: {
  readonly kind: string;
  readonly detail: Detail;
  readonly time: Date | undefined;
}): string {
  const run = findRun(event);
  const detail = run === undefined ? event.detail : run.others;
  // The alerts of a single change stand in its other details.
  const isShown = (name: string) => name !== "alerts" || event.kind !== "health_changed" || run !== undefined;
  const names = Object.keys(detail)
    .filter(isShown)
    .sort((a, b) => Number(b === "generation") - Number(a === "generation") || (a < b ? -1 : 1));
  const details = names.map((name) => `${name}=${shorten(detail[name] ?? "", maxValueWidth)}`);
  if (run === undefined) return details.join(" ");
  const first = event.time === undefined ? "" : `between ${formatInstant(event.time)} and `;
  const { verb } = runs[event.kind] ?? { verb: "" };
  return [`${verb} ${run.times} times ${first}${formatInstant(run.lastTime)}`, ...details].join(" ");
}
