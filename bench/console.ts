/**
 * `npm run bench:console` measures the console in Chromium: the first content with 100,000 machines and with none,
 * frames that are lost while 2,000 rows are scrolled, and the memory after as many changes as an hour of 200 a second
 * brings. It starts a PostgreSQL of its own. `--machines` sets the size of the fleet, `--loads` how often a page is
 * loaded, and `--changes` the number of changes. docs/performance.md explains the results.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pino } from "pino";
import type { Browser, Page } from "playwright-core";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { loadConfig } from "../src/config/config.ts";
import { migrateDatabase } from "../src/db/migrate.ts";
import { launchChromium } from "../tests/support/chromium.ts";
import { provideConsole } from "../tools/clone-console.ts";
import { measureFirstContent, measureHeap, measureScrolling, openConsole } from "./console/measure-page.ts";
import { startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { createLargeFleet } from "./measure/large-fleet.ts";
import { serveEnvironment } from "./measure/serve-command.ts";
import { startServer } from "./measure/server-process.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const { values } = parseArgs({
  options: {
    machines: { type: "string", default: "100000" },
    loads: { type: "string", default: "7" },
    changes: { type: "string", default: "720000" },
  },
});
const [machines, loads, changes] = [Number(values.machines), Number(values.loads), Number(values.changes)];

/** Changes of one call. */
const batchSize = 1_000;
/** Changes before the memory is measured for the first time. */
const warmUp = 20_000;
const scrolledRows = 2_000;

const folder = mkdtempSync(join(tmpdir(), "bmaas-console-"));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

interface Fleet extends AsyncDisposable {
  readonly adminUrl: string;
  readonly token: string;
}

async function run(): Promise<void> {
  await provideConsole();
  await using resources = new AsyncDisposableStack();
  const postgres = resources.use(await startBenchPostgres());
  const empty = resources.use(await startFleet(await postgres.createDatabase("console_empty"), 0));
  const large = resources.use(await startFleet(await postgres.createDatabase("console_large"), machines));
  await postgres.checkpoint();
  const browser = resources.adopt(await launchChromium(), (each) => each.close());
  const rows = [...(await compareFirstContent(browser, empty, large)), ...(await measureList(browser, large))];
  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Chromium ${browser.version()}, `);
  process.stdout.write(`Node ${process.versions.node}; ${machines.toLocaleString("en")} machines.\n\n`);
  process.stdout.write(formatMarkdownTable(["what", "before", "after", "figure", "allowed"], rows));
}

/** Starts a server over a database with some machines. */
async function startFleet(databaseUrl: string, size: number): Promise<Fleet> {
  process.stderr.write(`starts a server with ${size.toLocaleString("en")} machines …\n`);
  await migrateDatabase(databaseUrl, pino({ level: "silent" }));
  if (size > 0) await createLargeFleet(databaseUrl, size);
  const home = join(folder, `home-${size}`);
  const readLine = (line: string) =>
    line.startsWith("{") ? (JSON.parse(line) as { adminUrl?: string }).adminUrl : undefined;
  const server = await startServer({
    ...{ program: fileURLToPath(new URL("../src/main.ts", import.meta.url)), args: ["serve"], readLine },
    environment: { ...serveEnvironment, BMAAS_HOME: home, DATABASE_URL: databaseUrl },
  });
  const token = readFileSync(join(home, "admin.token"), "utf8").trim();
  return { adminUrl: server.said, token, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function compareFirstContent(browser: Browser, empty: Fleet, large: Fleet): Promise<string[][]> {
  process.stderr.write("loads pages …\n");
  const open = async ({ adminUrl, token }: Fleet) => openConsole(await browser.newContext(), adminUrl, token);
  const [ofEmpty, ofLarge] = [await open(empty), await open(large)];
  const contents = [
    ["first content of the overview", { path: "/", selector: ".figures + .overview .quiet time" }, undefined],
    ["first content of the list", { path: "/machines", selector: ".table-note:not(:empty)" }, ".data-table tbody a"],
  ] as const;
  const rows: string[][] = [];
  for (const [what, content, ofRows] of contents) {
    const before = await measureFirstContent(ofEmpty, content, loads);
    const after = await measureFirstContent(ofLarge, { ...content, ...(ofRows && { selector: ofRows }) }, loads);
    rows.push([
      what,
      `${before.toFixed(0)} ms`,
      `${after.toFixed(0)} ms`,
      `${(after / before).toFixed(2)} times`,
      "≤ 1.5",
    ]);
  }
  await Promise.all([ofEmpty, ofLarge].map((page) => page.context().close()));
  return rows;
}

async function measureList(browser: Browser, fleet: Fleet): Promise<string[][]> {
  process.stderr.write("scrolls …\n");
  const page = await openConsole(await browser.newContext(), fleet.adminUrl, fleet.token);
  await page.goto(`${fleet.adminUrl}/machines`);
  await page.locator(".data-table tbody a").first().waitFor();
  const lost = await measureScrolling(page, scrolledRows);
  process.stderr.write(`plays ${changes.toLocaleString("en")} changes …\n`);
  await play(fleet, page, warmUp, "warm-up");
  const before = await measureHeap(page);
  const beganAtMs = performance.now();
  await play(fleet, page, changes, "changed");
  const seconds = (performance.now() - beganAtMs) / 1_000;
  const after = await measureHeap(page);
  const toText = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return [
    [`frames lost in ${scrolledRows.toLocaleString("en")} rows`, "", "", `${(100 * lost).toFixed(1)} %`, "≤ 2 %"],
    [
      `memory after ${changes.toLocaleString("en")} changes, ${(changes / seconds).toFixed(0)} a second`,
      ...[toText(before), toText(after)],
      ...[`${(after / before).toFixed(2)} times`, "≤ 1.2"],
    ],
  ];
}

/** Changes labels of the first machines, over and over, and waits until the page shows the last change. */
async function play({ adminUrl, token }: Fleet, page: Page, count: number, word: string): Promise<void> {
  const operator = await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
  const client = operator.client(MachineService);
  const { machines: first } = await client.listMachines({ pageSize: batchSize });
  for (let played = 0; played < count; played += first.length) {
    const set = { played: `${word}-${played}` };
    await client.batchSetLabels({ requests: first.map(({ id }) => ({ machineId: id, set })), omitMachines: true });
  }
  // A machine of its own, since the rows of those that changed may be out of sight.
  const machineId = `00000000-0000-4000-8000-${Date.now().toString().slice(-12)}`;
  await client.createMachine({ machineId });
  await page.locator(".table-frame").evaluate((frame) => frame.scrollTo(0, 0));
  await page.getByRole("row").filter({ hasText: machineId }).waitFor({ timeout: 600_000 });
  await client.deleteMachine({ machineId });
}
