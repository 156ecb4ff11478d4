/**
 * A page in a real browser heartbeats with a signature: the client library's part for browsers runs where it is meant
 * to.
 */
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type * as library from "../../src/agent/browser.ts";
import { heartbeatPath } from "../support/agents.ts";
import { hasChromium, needsChromium, shareChromium } from "../support/chromium.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

declare global {
  /** The bundle, in the page. */
  var bmaas: typeof library;
}

let database: TestDatabase;
let server: TestServer;
let machine: TestMachine;
let browser: Browser;
let bundle: string;

describe.skipIf(!hasChromium)(needsChromium, () => {
  beforeAll(async () => {
    database = await createTestDatabase();
    server = await startTestServer(database.url);
    bundle = await bundleLibrary();
    browser = await shareChromium();
  });

  afterAll(async () => {
    await server?.close();
    await database?.close();
  });

  /** A page from the agents' own origin, whose clock is `aheadMs` ahead, with the library loaded. */
  async function openPage(aheadMs: number): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    onTestFinished(async () => await context.close());
    const page = await context.newPage();
    if (aheadMs !== 0) {
      await page.addInitScript((ahead) => {
        const now = Date.now;
        Date.now = () => now() + ahead;
      }, aheadMs);
    }
    // Nothing is served there, and the answer is a page of that origin all the same.
    expect((await page.goto(`${server.agentUrl}/`))?.status()).toBe(404);
    await page.addScriptTag({ content: bundle });
    return page;
  }

  test.each([
    ["right", 0],
    ["five hours slow", -5 * 3_600_000],
    ["two days fast", 48 * 3_600_000],
  ])("a signed JSON heartbeat counts when the page's clock is %s", async (_clock, aheadMs) => {
    machine = await machineWithAgent(database.db);
    await requestInstallation(database.db, machine.machineId, 123n);
    const page = await openPage(aheadMs);
    const seed = Array.from(machine.key.exportSeed());
    const answer = await page.evaluate(
      async ({ machineId, seed, path }) => {
        const key = await bmaas.createAgentKey(Uint8Array.from(seed));
        const signingFetch = bmaas.createSigningFetch({ machineId, key });
        const answers: unknown[] = [];
        for (let time = 0; time < 2; time++) {
          const headers = { "content-type": "application/json" };
          const response = await signingFetch(path, { method: "POST", headers, body: JSON.stringify({ machineId }) });
          answers.push([response.status, await response.json()]);
        }
        const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
        return { answers, protocol: navigation?.nextHopProtocol };
      },
      { machineId: machine.machineId, seed, path: new URL(heartbeatPath, server.agentUrl).href },
    );
    const installationRequest = expect.objectContaining({ generation: "123" });
    const pending = [200, { installationRequest, nextHeartbeatAfter: expect.stringMatching(/^[\d.]+s$/) }];
    expect(answer).toEqual({ answers: [pending, pending], protocol: "h2" });
    const { heartbeat } = await readTags(database, machine.machineId);
    // By the server's time, which the page had to learn.
    expect(Math.abs(Number(heartbeat?.signatureNonce) / 1_000 - Date.now())).toBeLessThan(60_000);
    await page.context().close();
  });

  test("the typed client of the library heartbeats and reports from a page", async () => {
    machine = await machineWithAgent(database.db);
    await requestInstallation(database.db, machine.machineId, 7n);
    const page = await openPage(0);
    const seed = Array.from(machine.key.exportSeed());
    const generation = await page.evaluate(
      async ({ machineId, seed }) => {
        const key = await bmaas.createAgentKey(Uint8Array.from(seed));
        const client = bmaas.createSigningAgentClient({ endpoint: location.origin, machineId, key });
        const { installationRequest } = await client.heartbeat({ machineId });
        const found = installationRequest?.generation ?? 0n;
        await client.heartbeat({
          machineId,
          installationReport: { generation: found, result: { case: "success", value: {} } },
        });
        return String(found);
      },
      { machineId: machine.machineId, seed },
    );
    expect(generation).toBe("7");
    expect((await readTags(database, machine.machineId)).report).toMatchObject({
      generation: 7n,
      result: "success",
    });
    await page.context().close();
  });
});

/** One script that sets the global `bmaas`, made by the bundler that the test runner brings. */
async function bundleLibrary(): Promise<string> {
  const runner = createRequire(fileURLToPath(import.meta.resolve("vitest")));
  const { build } = (await import(pathToFileURL(runner.resolve("vite")).href)) as {
    build(options: object): Promise<{ output: { code?: string }[] }[]>;
  };
  const entry = fileURLToPath(new URL("../../src/agent/browser.ts", import.meta.url));
  const lib = { entry, formats: ["iife"], name: "bmaas" };
  const [result] = await build({ configFile: false, logLevel: "silent", build: { lib, write: false, minify: false } });
  return result?.output[0]?.code ?? "";
}
