/** What a frame costs the page's thread, by Chromium's own tracing. */
import type { Page } from "playwright-core";

/** CPU time of a frame in milliseconds. Each kind leaves out what is counted as another one. */
export interface FrameCosts {
  readonly script: number;
  readonly style: number;
  readonly layout: number;
  readonly prePaint: number;
  readonly paint: number;
  /** What else the page's thread does, such as handing the picture on. */
  readonly other: number;
  /** Drawing what was painted, on threads of its own. */
  readonly raster: number;
}

type Kind = keyof FrameCosts;

const kinds: Readonly<Record<string, Kind>> = {
  FireAnimationFrame: "script",
  FunctionCall: "script",
  TimerFire: "script",
  EventDispatch: "script",
  RunMicrotasks: "script",
  UpdateLayoutTree: "style",
  Layout: "layout",
  PrePaint: "prePaint",
  Paint: "paint",
  RunTask: "other",
  RasterTask: "raster",
};

/** An event of the trace. `tdur` is CPU time of its thread, and all times are in microseconds. */
interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly tdur?: number;
}

/** How far a frame scrolls, in pixels: at sixty frames a second, a little more than 200 rows a second. */
const pxOfFrame = 108;

/**
 * Scrolls through the list of machines by as many frames, each as far as the others, and returns what one costs. It
 * measures CPU time, so that other programs do not count.
 */
export async function measureFrameCosts(page: Page, frames: number): Promise<FrameCosts> {
  const browser = page.context().browser();
  if (browser === null) throw new Error("the page has no browser of its own");
  await browser.startTracing(page, { categories: ["devtools.timeline", "disabled-by-default-devtools.timeline"] });
  await page.locator(".table-frame").evaluate(scrollByFrames, { frames, pxOfFrame });
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { readonly traceEvents: readonly TraceEvent[] };
  return sumCosts(trace.traceEvents, frames);
}

/** Runs in the page. */
async function scrollByFrames(frame: Element, way: { readonly frames: number; readonly pxOfFrame: number }) {
  for (let drawn = 0; drawn < way.frames; drawn++) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    frame.scrollTop += way.pxOfFrame;
  }
}

function sumCosts(events: readonly TraceEvent[], frames: number): FrameCosts {
  // The thread on which the frames of the page are made.
  const { pid, tid } = events.find(({ name, ph }) => name === "FireAnimationFrame" && ph === "X") ?? {};
  const sums = { script: 0, style: 0, layout: 0, prePaint: 0, paint: 0, other: 0, raster: 0 };
  const open: { readonly kind: Kind; readonly end: number }[] = [];
  const timed = events
    .filter((event) => event.pid === pid && event.ph === "X" && kinds[event.name] !== undefined)
    .sort((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0));
  for (const { name, ts, dur = 0, tdur = 0, ...event } of timed) {
    const kind = kinds[name];
    if (kind === undefined) continue;
    const ms = tdur / 1_000;
    if (event.tid === tid && kind !== "raster") {
      while ((open.at(-1)?.end ?? Number.POSITIVE_INFINITY) <= ts) open.pop();
      const outer = open.at(-1);
      if (outer !== undefined) sums[outer.kind] -= ms;
      open.push({ kind, end: ts + dur });
      sums[kind] += ms;
    } else if (kind === "raster") sums.raster += ms;
  }
  for (const kind of Object.keys(sums) as Kind[]) sums[kind] /= frames;
  return sums;
}
