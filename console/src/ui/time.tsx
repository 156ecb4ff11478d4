/** Times in the reader's zone, and in UTC where the pointer rests on them. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { useSyncExternalStore } from "react";
import { formatDuration } from "./format.ts";

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const ofDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A point in time: as the API gives it, or as the browser has it. */
export type TimeLike = Timestamp | Date;

/** Shows a time. "age" shows how long ago it was or how long it is until then, and goes on counting. */
export function Time({ at, as = "time" }: { readonly at: TimeLike | undefined; readonly as?: "time" | "age" }) {
  if (at === undefined) return <span className="quiet">never</span>;
  const date = toDate(at);
  return (
    <time dateTime={date.toISOString()} title={`${toUtcText(date)}${as === "age" ? ` (${full.format(date)})` : ""}`}>
      {as === "age" ? <Age date={date} /> : formatTime(date)}
    </time>
  );
}

function Age({ date }: { readonly date: Date }) {
  const seconds = (useNow() - date.getTime()) / 1_000;
  return seconds >= 0 ? `${formatDuration(seconds)} ago` : `in ${formatDuration(-seconds)}`;
}

/** Formats a time in the reader's zone, and leaves out today's date. */
export function formatTime(at: TimeLike): string {
  const date = toDate(at);
  return date.toDateString() === new Date().toDateString() ? ofDay.format(date) : full.format(date);
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

/** Returns the time in milliseconds, and renders again each second. */
function useNow(): number {
  return useSyncExternalStore(subscribeClock, () => clock.nowMs);
}
