/**
 * `npm run bench:console` measures the console in Chromium: the first content with 100,000 machines and with none,
 * frames that are lost while 2,000 rows are scrolled, and the memory after as many changes as an hour of 200 a second
 * brings. It starts a PostgreSQL of its own. `--help` lists the options, and docs/performance.md explains the results.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import type { Browser, Page } from "playwright-core";
import { FleetService } from "../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { loadConfig } from "../src/config/config.ts";
import { migrateDatabase } from "../src/db/migrate.ts";
import { launchChromium } from "../tests/support/chromium.ts";
import { provideConsole } from "../tools/clone-console.ts";
import { readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import { measureFrameCosts } from "./console/measure-frames.ts";
import {
  type Content,
  compareContent,
  measureHeap,
  measurePlainScrolling,
  measureScrolling,
  openConsole,
} from "./console/measure-page.ts";
import { startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { createLargeFleet } from "./measure/large-fleet.ts";
import { serveEnvironment } from "./measure/serve-command.ts";
import { startServer } from "./measure/server-process.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const help = `npm run bench:console -- [options]

  --machines N     size of the fleet (100000)
  --loads N        times that a page is loaded (7)
  --changes N      changes whose memory is measured (720000)
  --only frames    measure the scrolling only, and what a frame costs
`;

const values = readScriptOptions(help, {
  machines: { ...text, default: "100000" },
  loads: { ...text, default: "7" },
  changes: { ...text, default: "720000" },
  only: text,
});
if (values.only !== undefined) toChoice("only", values.only, ["frames"]);
const machines = toInteger("machines", values.machines);
const [loads, changes] = [toInteger("loads", values.loads), toInteger("changes", values.changes)];

/** Changes of one call. */
const batchSize = 1_000;
/** Changes before the memory is measured for the first time. */
const warmUp = 20_000;
const scrolledRows = 2_000;
/** Frames of which the cost is measured. */
const measuredFrames = 150;

/** What appears in a page, where there are no machines and where there are many. */
interface ContentRow {
  readonly what: string;
  readonly path: string;
  readonly ofNone: Omit<Content, "path">;
  readonly ofMany: Omit<Content, "path">;
}

const figures = { selector: ".figures[aria-busy=false]" };
const counted = { selector: ".overview .card > p.quiet time" };
const contents: readonly ContentRow[] = [
  {
    what: "first content of the overview: its figures",
    path: "/",
    ofNone: figures,
    ofMany: figures,
  },
  { what: "all places of the overview", path: "/", ofNone: counted, ofMany: counted },
  {
    what: "first content of the list",
    path: "/machines",
    ofNone: { selector: ".table-note", text: "There are no machines yet." },
    ofMany: { selector: ".data-table tbody a" },
  },
];

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
  const large = resources.use(await startFleet(await postgres.createDatabase("console_large"), machines));
  const isWhole = values.only === undefined;
  const empty = isWhole && resources.use(await startFleet(await postgres.createDatabase("console_empty"), 0));
  await postgres.checkpoint();
  await Promise.all([large, ...(empty ? [empty] : [])].map(waitForSample));
  const browser = resources.adopt(await launchChromium(), (each) => each.close());
  const rows = [
    ...(empty ? await compareFirstContent(browser, empty, large) : []),
    ...(await measureList(browser, large, isWhole)),
  ];
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
  const rows: string[][] = [];
  for (const { what, path, ofNone, ofMany } of contents) {
    const [none, many] = [
      { path, ...ofNone },
      { path, ...ofMany },
    ];
    const { first, second } = await compareContent([ofEmpty, none], [ofLarge, many], loads);
    const times = [`${first.toFixed(0)} ms`, `${second.toFixed(0)} ms`, `${(second / first).toFixed(2)} times`];
    rows.push([what, ...times, "≤ 1.5"]);
  }
  await Promise.all([ofEmpty, ofLarge].map((page) => page.context().close()));
  return rows;
}

/** Waits until a server has sampled its fleet, as one that has run for half a minute has. */
async function waitForSample({ adminUrl, token }: Fleet): Promise<void> {
  const operator = await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
  const client = operator.client(FleetService);
  while ((await client.listFleetSamples({})).samples.length === 0) await delay(500);
}

async function measureList(browser: Browser, fleet: Fleet, isWhole: boolean): Promise<string[][]> {
  process.stderr.write("scrolls …\n");
  const page = await openConsole(await browser.newContext(), fleet.adminUrl, fleet.token);
  await page.goto(`${fleet.adminUrl}/machines`);
  await page.locator(".data-table tbody a").first().waitFor();
  const lost = await measureScrolling(page, scrolledRows);
  const costs = await measureFrameCosts(page, measuredFrames);
  const memory = isWhole ? await measureMemory(fleet, page) : [];
  const lostByItself = await measurePlainScrolling(page, scrolledRows);
  const rowsText = `${scrolledRows.toLocaleString("en")} rows`;
  return [
    [`frames lost in ${rowsText}`, "", "", `${(100 * lost).toFixed(1)} %`, "≤ 2 %"],
    [`frames lost in ${rowsText} of a page without a script`, "", "", `${(100 * lostByItself).toFixed(1)} %`, ""],
    ...Object.entries(costs).map(([kind, ms]) => [`CPU time of a frame: ${kind}`, "", "", `${ms.toFixed(2)} ms`, ""]),
    ...memory,
  ];
}

/** Measures the memory of the list before and after the changes. */
async function measureMemory(fleet: Fleet, page: Page): Promise<string[][]> {
  process.stderr.write(`plays ${changes.toLocaleString("en")} changes …\n`);
  await play(fleet, page, warmUp, "warm-up");
  const before = await measureHeap(page);
  const beganAtMs = performance.now();
  await play(fleet, page, changes, "changed");
  const seconds = (performance.now() - beganAtMs) / 1_000;
  const after = await measureHeap(page);
  const toText = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return [
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
