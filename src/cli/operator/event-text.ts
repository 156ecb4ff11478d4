/** Formats events of machines for people. */
import { formatInstant } from "../../base/time-text.ts";
import { shorten } from "../text-width.ts";

/** Details of an event, by name. */
type Detail = Readonly<Record<string, string>>;

/** A run of boots, which the history has as one event. */
export interface BootRun {
  /** As the server writes it. */
  readonly boots: string;
  readonly lastBootTime: Date;
}

/** Returns the run that an event stands for, or undefined for a single boot and any other event. */
export function findBootRun({ kind, detail }: { readonly kind: string; readonly detail: Detail }): BootRun | undefined {
  const { boots, lastBootTime = "" } = detail;
  const time = new Date(lastBootTime);
  if (kind !== "agent_booted" || boots === undefined || Number.isNaN(time.getTime())) return undefined;
  return { boots: shorten(boots, maxValueWidth), lastBootTime: time };
}

/** Maximum width of a value, in columns. JSON contains the whole value. */
const maxValueWidth = 80;

/** Returns the details of an event on one line, such as "generation=3 result=success"; a run of boots in words. */
export function describeDetail(event: {
  readonly kind: string;
  readonly detail: Detail;
  readonly time: Date | undefined;
}): string {
  const run = findBootRun(event);
  const { boots, lastBootTime, ...others } = event.detail;
  const detail = run === undefined ? event.detail : others;
  const names = Object.keys(detail).sort(
    (a, b) => Number(b === "generation") - Number(a === "generation") || (a < b ? -1 : 1),
  );
  const details = names.map((name) => `${name}=${shorten(detail[name] ?? "", maxValueWidth)}`);
  if (run === undefined) return details.join(" ");
  const first = event.time === undefined ? "" : `between ${formatInstant(event.time)} and `;
  return [`booted ${run.boots} times ${first}${formatInstant(run.lastBootTime)}`, ...details].join(" ");
}
