/** Times in the reader's zone, and in UTC where the pointer rests on them. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { useSyncExternalStore } from "react";
import { formatDuration } from "./format.ts";

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const ofClock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const ofDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A point in time: as the API gives it, or as the browser has it. */
export type TimeLike = Timestamp | Date;

/**
 * Shows a time. "age" shows how long ago it was or how long it is until then, and "lasting" for how long something has
 * lasted since; both go on counting.
 */
export function Time(props: { readonly at: TimeLike | undefined; readonly as?: "time" | "age" | "lasting" }) {
  const { at, as = "time" } = props;
  if (at === undefined) return <span className="quiet">never</span>;
  const date = toDate(at);
  return (
    <time dateTime={date.toISOString()} title={`${toUtcText(date)}${as === "time" ? "" : ` (${full.format(date)})`}`}>
      {as === "time" ? formatTime(date) : <Age date={date} isLasting={as === "lasting"} />}
    </time>
  );
}

/** Renders again only when its words change: a page has an age in each of its rows. */
function Age({ date, isLasting }: { readonly date: Date; readonly isLasting: boolean }) {
  return useClock((nowMs) => describeAge((nowMs - date.getTime()) / 1_000, isLasting));
}

/** Returns what `read` says of the current time in milliseconds, and renders again when that changes. */
export function useClock<Value extends string | number | boolean | undefined>(read: (nowMs: number) => Value): Value {
  return useSyncExternalStore(subscribeClock, () => read(clock.nowMs));
}

/** Returns whether a time has passed, and renders again when it does. */
export function useIsPast(at: TimeLike | undefined): boolean {
  return useClock((nowMs) => at !== undefined && toDate(at).getTime() <= nowMs);
}

function describeAge(seconds: number, isLasting: boolean): string {
  if (isLasting) return `for ${formatDuration(seconds)}`;
  return seconds >= 0 ? `${formatDuration(seconds)} ago` : `in ${formatDuration(-seconds)}`;
}

/** Formats a time in the reader's zone, and leaves out today's date. */
export function formatTime(at: TimeLike): string {
  const date = toDate(at);
  return date.toDateString() === new Date().toDateString() ? ofDay.format(date) : full.format(date);
}

/** Formats seconds since 1970 as the time of the day in the reader's zone, such as "20:13". */
export function formatClock(seconds: number): string {
  return ofClock.format(seconds * 1_000);
}

/** Returns the time as a Date. */
export function toDate(at: TimeLike): Date {
  return at instanceof Date ? at : timestampDate(at);
}

function toUtcText(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** One clock for all ages on the page, which stands still while the tab is hidden. */
const clock = { nowMs: Date.now(), listeners: new Set<() => void>(), timer: 0 };

function tick(): void {
  if (document.visibilityState === "hidden") return;
  clock.nowMs = Date.now();
  for (const listener of clock.listeners) listener();
}

function subscribeClock(listener: () => void): () => void {
  clock.listeners.add(listener);
  if (clock.listeners.size === 1) {
    clock.nowMs = Date.now();
    clock.timer = window.setInterval(tick, 1_000);
  }
  return () => {
    clock.listeners.delete(listener);
    if (clock.listeners.size === 0) window.clearInterval(clock.timer);
  };
}
