/**
 * `npm run bench:operators` measures what operators wait for, and what their features cost, in a fleet of 100,000
 * machines with five labels each. It starts a PostgreSQL of its own, checks an earlier commit out into a temporary
 * folder, and compares with it in the same run. `--machines` sets the size of the fleet, `--calls` the number of calls
 * of each kind, `--lists` the number of whole lists, `--watchers` the number of those who wait for a change, and
 * `--before` the commit. Lists and watches are compared with the commit of `--lists-before`; `--only lists` leaves
 * everything else out. docs/performance.md explains the results.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { loadConfig } from "../src/config/config.ts";
import { connectDatabase, type Database } from "../src/db/client.ts";
import { type BenchPostgres, startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { serveEnvironment } from "./measure/serve-command.ts";
import { startServer } from "./measure/server-process.ts";
import { compareFind } from "./operators/compare-find.ts";
import { compareFleetCount } from "./operators/compare-fleet-count.ts";
import { compareHeartbeats } from "./operators/compare-heartbeats.ts";
import { compareLists } from "./operators/compare-lists.ts";
import { comparisonHeader } from "./operators/comparison.ts";
import { firstPageHeader } from "./operators/first-page.ts";
import { measureIssues } from "./operators/measure-issues.ts";
import { measureLabels } from "./operators/measure-labels.ts";
import { measureWaits, waitHeader } from "./operators/measure-waits.ts";
import { addVersion, createVersions, type FleetVersion } from "./operators/versions.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const { values } = parseArgs({
  options: {
    machines: { type: "string", default: "100000" },
    calls: { type: "string", default: "300" },
    watchers: { type: "string", default: "1000" },
    lists: { type: "string", default: "3" },
    before: { type: "string", default: "16b843d" },
    "lists-before": { type: "string", default: "2b0a094" },
    only: { type: "string" },
  },
});
const [machines, calls] = [Number(values.machines), Number(values.calls)];

const folder = mkdtempSync(join(tmpdir(), "bmaas-operators-"));
const listEffort = { calls, lists: Number(values.lists), watchers: Number(values.watchers), folder };
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function run(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const postgres = resources.use(await startBenchPostgres());
  if (values.only === "lists") return await runLists(postgres);
  const versions = await createVersions(postgres, { commit: values.before, folder, machines });
  const { now } = versions;
  const listsBefore = await addVersion(postgres, now, { commit: values["lists-before"], folder });
  const { db } = resources.adopt(connectDatabase(now.databaseUrl, { maxConnections: 1 }), ({ close }) => close());
  await postgres.checkpoint();
  const { found, waits } = await measureServer(now, db);
  const pages = [...(await measureIssues(db, calls)), ...(await measureLabels(db, calls))];
  const comparisons = [
    ...found,
    ...(await compareLists({ now, before: listsBefore }, listEffort)),
    ...(await compareFleetCount(versions, Math.ceil(calls / 10))),
    // Last, since heartbeats change what is stored.
    ...(await compareHeartbeats(versions, calls)),
  ];
  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}, `);
  process.stdout.write(`PostgreSQL ${postgres.version}; ${machines.toLocaleString("en")} machines.\n\n`);
  process.stdout.write(`${formatMarkdownTable([...comparisonHeader], comparisons.map(toCells))}\n`);
  process.stdout.write(`${formatMarkdownTable([...firstPageHeader], pages.map(toCells))}\n`);
  process.stdout.write(formatMarkdownTable([...waitHeader], waits.map(toCells)));
}

/** Compares lists and watches alone. */
async function runLists(postgres: BenchPostgres): Promise<void> {
  const versions = await createVersions(postgres, { commit: values["lists-before"], folder, machines });
  await postgres.checkpoint();
  const rows = await compareLists(versions, listEffort);
  process.stdout.write(formatMarkdownTable([...comparisonHeader], rows.map(toCells)));
}

/** Starts the clone's server on its database, and measures whole calls of its administrator. */
async function measureServer({ folder: program, databaseUrl }: FleetVersion, db: Database) {
  process.stderr.write("starts a server …\n");
  const home = join(folder, "home");
  const readUrl = (line: string) =>
    line.startsWith("{") ? (JSON.parse(line) as { adminUrl?: string }).adminUrl : undefined;
  await using server = await startServer({
    ...{ program: join(program, "src", "main.ts"), args: ["serve"], readLine: readUrl },
    environment: { ...serveEnvironment, BMAAS_HOME: home, DATABASE_URL: databaseUrl },
  });
  const token = readFileSync(join(home, "admin.token"), "utf8").trim();
  const operator = await connectOperator(loadConfig({ BMAAS_ADMIN_URL: server.said, BMAAS_ADMIN_TOKEN: token }));
  return {
    found: await compareFind(operator, databaseUrl, calls),
    waits: await measureWaits(operator, db, { calls, watchers: Number(values.watchers) }),
  };
}

function toCells(row: readonly string[]): string[] {
  return [...row];
}
