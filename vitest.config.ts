/**
 * Settings of the tests: `npm test`. VITEST_JSON_REPORT names a file that gets the results as JSON as well. After
 * TEST_MINUTES no more tests begin.
 */
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import type { Reporter } from "vitest/node";
import { endInTime } from "./tests/support/end-in-time.ts";

const { VITEST_JSON_REPORT: report, TEST_MINUTES: minutes } = process.env;
const reporters: (Reporter | "default" | ["json", { outputFile: string }])[] = ["default"];
if (report !== undefined) reporters.push(["json", { outputFile: report }]);
if (minutes !== undefined) reporters.push(endInTime(Number(minutes)));

export default defineConfig({
  test: {
    reporters,
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    pool: "forks",
    // Much of the time a test waits for processes: three at once use two cores better than vitest's default of one.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    // A worker keeps the modules that it loaded for the files that follow; whoever changes what is global puts it back.
    isolate: false,
    // grpc-js names an IP address as the TLS server name.
    execArgv: ["--disable-warning=DEP0123"],
    // Deadlines are for what hangs: a busy machine is no failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 50_000 } },
  },
});
