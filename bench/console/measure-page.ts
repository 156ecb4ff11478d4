/** Measures the console in a browser: when its first content stands there, how it scrolls, and what it keeps. */
import type { BrowserContext, Page } from "playwright-core";
import { median } from "../measure/statistics.ts";

/** Opens the console in a tab of its own, signed in so that it stays so when the tab is loaded anew. */
export async function openConsole(context: BrowserContext, adminUrl: string, token: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(adminUrl);
  await page.getByLabel("Token").fill(token);
  await page.getByLabel("Keep me signed in").check();
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("● live").waitFor();
  return page;
}

/** Something whose appearance is the first content of a page, and the page's path. */
export interface FirstContent {
  readonly path: string;
  readonly selector: string;
}

/** Returns how long after the begin of loading the first content stands there: the median in milliseconds. */
export async function measureFirstContent(page: Page, { path, selector }: FirstContent, loads: number) {
  const took: number[] = [];
  const url = new URL(path, page.url()).href;
  for (let load = -1; load < loads; load++) {
    await page.goto(url);
    const handle = await page.waitForFunction(
      (wanted) => document.querySelector(wanted) && performance.now(),
      selector,
    );
    if (load >= 0) took.push((await handle.jsonValue()) ?? Number.NaN);
  }
  return median(took);
}

/** Height of a row, in pixels. */
const rowHeightPx = 32;

/** Rows that pass in a second: more than anybody reads, and less than a drag of the scrollbar. */
const rowsPerSecond = 200;

/** Scrolls through rows of the list of machines, and returns the share of frames that were not drawn in time. */
export async function measureScrolling(page: Page, rows: number): Promise<number> {
  const way = { px: rows * rowHeightPx, pxPerSecond: rowsPerSecond * rowHeightPx };
  return await page.locator(".table-frame").evaluate(async (frame, { px, pxPerSecond }) => {
    const nextFrame = () => new Promise<number>((resolve) => requestAnimationFrame(resolve));
    // The display's own pace, while nothing happens.
    const idle: number[] = [];
    for (let last = await nextFrame(); idle.length < 60; ) {
      const now = await nextFrame();
      idle.push(now - last);
      last = now;
    }
    const frameMs = idle.toSorted((a, b) => a - b)[30] ?? 16.7;
    let [drawn, missed] = [0, 0];
    const beganAt = await nextFrame();
    const beganAtPx = frame.scrollTop;
    for (let last = beganAt; frame.scrollTop - beganAtPx < px - 1; ) {
      const now = await nextFrame();
      drawn += 1;
      missed += Math.max(0, Math.round((now - last) / frameMs) - 1);
      last = now;
      frame.scrollTop = beganAtPx + Math.min(px, ((now - beganAt) / 1_000) * pxPerSecond);
    }
    return missed / (drawn + missed);
  }, way);
}

/** Returns the bytes that live objects of the page take. */
export async function measureHeap(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  try {
    await session.send("HeapProfiler.enable");
    for (let time = 0; time < 3; time++) await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    return usedSize;
  } finally {
    await session.detach();
  }
}
