/** Opens the console of a real server in a real browser, and notices what goes wrong in it. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { provideConsole } from "../../tools/clone-console.ts";
import { shareChromium } from "./chromium.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type TestToken, tokenOf } from "./operator.ts";
import { startTestServer, type TestServer } from "./server.ts";

/** What most test files of the console need, once their tests run. */
export interface ConsoleBench {
  database: TestDatabase;
  server: TestServer;
  browser: Browser;
  /** An administrator's token. */
  admin: TestToken;
}

/**
 * Builds the console if it has to be, starts a server over a database of its own, and finds a browser, before the tests
 * of a file or a group. `fill` fills the database before the server counts what is in it. Server and database are
 * closed after the tests.
 */
export function setUpConsole(
  environment: Record<string, string> = {},
  fill: (database: TestDatabase) => Promise<unknown> = async () => {},
): ConsoleBench {
  const bench = {} as ConsoleBench;
  beforeAll(async () => {
    await provideConsole();
    bench.database = await createTestDatabase();
    await fill(bench.database);
    bench.admin = await tokenOf(bench.database.db, "admin");
    bench.server = await startTestServer(bench.database.url, environment);
    bench.browser = await shareChromium();
  });
  afterAll(async () => {
    await bench.server?.close();
    await bench.database?.close();
  });
  return bench;
}

/** A page of the console. Disposing of it closes it, and fails if anything went wrong in it. */
export interface ConsolePage extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors in the page, and violations of its policy for content. */
  readonly faults: readonly string[];
}

/** How to open a page. */
export interface OpenOptions
  extends Pick<BrowserContextOptions, "viewport" | "colorScheme" | "locale" | "timezoneId" | "ignoreHTTPSErrors"> {
  /** Path and query. Default: "/". */
  readonly path?: string;
  /** Token to sign in with. Without one, the page asks who it is. */
  readonly token?: string;
}

/** The browser's own lines about answers that are errors; the page says them in its own words. */
const ownLines = /^Failed to load resource: /;

/** Opens a page in a context of its own, signed in if there is a token. */
export async function openConsole(
  browser: Browser,
  adminUrl: string,
  { path = "/", token, ...options }: OpenOptions = {},
): Promise<ConsolePage> {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("console", (message) => {
    const isFault = message.type() === "error" || message.type() === "warning";
    if (isFault && !ownLines.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  await page.exposeFunction("reportViolation", (text: string) => void faults.push(text));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      const report = (globalThis as unknown as { reportViolation(text: string): void }).reportViolation;
      report(`${event.violatedDirective} forbids ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`);
    });
  });
  await page.goto(adminUrl + path);
  if (token !== undefined) await signIn(page, token);
  return {
    page,
    context,
    faults,
    [Symbol.asyncDispose]: async () => {
      await context.close();
      expect(faults).toEqual([]);
    },
  };
}

/** Enters a token on the page that asks for it. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token", { exact: false }).fill(token);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Keeps the calls of a method back: `called` resolves with the first one, and `release` lets all go on. */
export async function holdBack(context: BrowserContext, method: string) {
  const [called, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await context.route(`**/${method}`, async (route) => {
    called.resolve();
    await released.promise;
    await route.continue();
  });
  return { called: called.promise, release: released.resolve };
}

/** Moves the clock of the page. */
export async function moveClock(page: Page, hours: number): Promise<void> {
  await page.evaluate((ms) => {
    Date.now = () => performance.timeOrigin + performance.now() + ms;
  }, hours * 3_600_000);
}

/** How pages are looked at: both themes, a wide window and a narrow one. */
export const looks = [
  { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", viewport: { width: 360, height: 740 } },
] as const;

/** Fails if the page as it stands has barriers, or scrolls sideways, in one of the looks. Leaves it wide and light. */
export async function expectFit(page: Page): Promise<void> {
  for (const { colorScheme, viewport } of looks.toReversed()) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    expect(await findBarriers(page), colorScheme).toEqual([]);
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(width, `${viewport.width} pixels`).toBeLessThanOrEqual(0);
  }
}

const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Returns what axe finds wrong with the page by WCAG 2.2 A and AA, one line each. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(axeFile, "utf8"));
  const results = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(node: Document, options: object): Promise<AxeResults> } };
    const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
    return await axe.run(document, { runOnly: { type: "tag", values } });
  });
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = "" }) => `${id}: ${html.slice(0, 200)}: ${failureSummary}`),
  );
}
