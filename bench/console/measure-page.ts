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

/** Something whose appearance is the content of a page, and the page's path. */
export interface Content {
  readonly path: string;
  readonly selector: string;
  /** What the element must say: elsewhere it may say first that it is being loaded. Default: anything. */
  readonly text?: string;
}

/** How long after the begin of loading the content of two pages stands there: medians in milliseconds. */
export interface ContentTimes {
  readonly first: number;
  readonly second: number;
}

/** A page, and what appears in it. */
export type Loaded = readonly [page: Page, content: Content];

/**
 * Loads two pages in turn, so that whatever slows the machine meets both. Loads that come before `loads` do not count:
 * browser and servers compile, and PostgreSQL keeps plans from the sixth execution on.
 */
export async function compareContent(first: Loaded, second: Loaded, loads: number): Promise<ContentTimes> {
  const took = { first: [] as number[], second: [] as number[] };
  for (let load = -warmUpLoads; load < loads; load++) {
    for (const [name, [page, content]] of [["first", first] as const, ["second", second] as const]) {
      const ms = await measureLoad(page, content);
      if (load >= 0) took[name].push(ms);
    }
  }
  return { first: median(took.first), second: median(took.second) };
}

/** Loads of each page that do not count. */
const warmUpLoads = 8;
/** Time in which servers end what a page that was left has asked for, in milliseconds. */
const restMs = 500;

async function measureLoad(page: Page, { path, selector, text = "" }: Content): Promise<number> {
  const url = new URL(path, page.url()).href;
  await page.goto(url, { waitUntil: "commit" });
  // Looks once for each frame.
  const handle = await page.waitForFunction(
    (wanted) => document.querySelector(wanted.selector)?.textContent?.includes(wanted.text) && performance.now(),
    { selector, text },
  );
  const ms = Number(await handle.jsonValue());
  // A page that stays open would go on asking.
  await page.goto(new URL("/healthz", url).href);
  await page.waitForTimeout(restMs);
  return ms;
}

/** Height of a row, in pixels. */
const rowHeightPx = 32;

/** Rows that pass in a second: more than anybody reads, and less than a drag of the scrollbar. */
const rowsPerSecond = 200;

/** Scrolls through rows of the list of machines, and returns the share of frames that were not drawn in time. */
export async function measureScrolling(page: Page, rows: number): Promise<number> {
  return await page.locator(".table-frame").evaluate(scroll, toWay(rows));
}

/**
 * Scrolls through as many rows of a table that looks the same, in a page without a script: what the browser itself
 * loses on this machine. The console is gone from the page afterwards.
 */
export async function measurePlainScrolling(page: Page, rows: number): Promise<number> {
  const html = await page.locator(".table-frame").evaluate((frame, count) => {
    const plain = frame.cloneNode(true) as HTMLElement;
    const shown = [...plain.querySelectorAll("tbody tr:not(.spacer)")];
    const many = Array.from({ length: count }, (_, index) => shown[index % shown.length]?.outerHTML ?? "");
    plain.querySelectorAll("tbody").forEach((body) => {
      body.innerHTML = many.join("");
    });
    const styles = [...document.querySelectorAll("link[rel=stylesheet]")].map((link) => link.outerHTML);
    return `<!doctype html>${styles.join("")}${plain.outerHTML}`;
  }, rows + 100);
  await page.goto(new URL("/healthz", page.url()).href);
  await page.setContent(html);
  await page.waitForTimeout(1_000);
  return await page.locator(".table-frame").evaluate(scroll, toWay(rows));
}

interface Way {
  readonly px: number;
  readonly pxPerSecond: number;
}

const toWay = (rows: number): Way => ({ px: rows * rowHeightPx, pxPerSecond: rowsPerSecond * rowHeightPx });

/** Runs in the page. */
async function scroll(frame: Element, { px, pxPerSecond }: Way): Promise<number> {
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
