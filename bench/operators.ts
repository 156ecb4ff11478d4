/**
 * `npm run bench:operators` measures what operators wait for, and what their features cost, in a fleet of 100,000
 * machines with five labels each. It starts a PostgreSQL of its own, checks an earlier commit out into a temporary
 * folder, and compares with it in the same run. `--help` lists the options, and docs/performance.md explains the
 * results.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { connectDatabase, type Database } from "../src/db/client.ts";
import { readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import { type BenchPostgres, startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { compareFind } from "./operators/compare-find.ts";
import { compareFleetCount } from "./operators/compare-fleet-count.ts";
import { compareHeartbeats } from "./operators/compare-heartbeats.ts";
import { compareLists } from "./operators/compare-lists.ts";
import { comparisonHeader } from "./operators/comparison.ts";
import { firstPageHeader } from "./operators/first-page.ts";
import { measureIssues } from "./operators/measure-issues.ts";
import { measureLabels } from "./operators/measure-labels.ts";
import { measureWaits, waitHeader } from "./operators/measure-waits.ts";
import { serveVersion } from "./operators/serve-version.ts";
import { addVersion, createVersions, type FleetVersion } from "./operators/versions.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const help = `npm run bench:operators -- [options]

  --machines N             size of the fleet (100000)
  --calls N                calls of each kind (300)
  --lists N                whole lists (3)
  --watchers N             watchers that wait for a change (1000)
  --before COMMIT          the earlier commit (16b843d)
  --lists-before COMMIT    the one with which lists and watches are compared (2b0a094)
  --only PART              lists: lists and watches; costs: the count of the fleet, and heartbeats (all)
`;

const values = readScriptOptions(help, {
  machines: { ...text, default: "100000" },
  calls: { ...text, default: "300" },
  watchers: { ...text, default: "1000" },
  lists: { ...text, default: "3" },
  before: { ...text, default: "16b843d" },
  "lists-before": { ...text, default: "2b0a094" },
  only: text,
});
const [machines, calls] = [toInteger("machines", values.machines), toInteger("calls", values.calls)];
const [lists, watchers] = [toInteger("lists", values.lists), toInteger("watchers", values.watchers)];
const only = values.only === undefined ? undefined : toChoice("only", values.only, ["lists", "costs"]);

const folder = mkdtempSync(join(tmpdir(), "bmaas-operators-"));
const listEffort = { calls, lists, watchers, folder };
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function run(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const postgres = resources.use(await startBenchPostgres());
  if (only === "lists") return await runLists(postgres);
  if (only === "costs") return await runCosts(postgres);
  const versions = await createVersions(postgres, { commit: values.before, folder, machines });
  const { now } = versions;
  const listsBefore = await addVersion(postgres, now, { commit: values["lists-before"], folder });
  const { db } = resources.adopt(connectDatabase(now.databaseUrl, { maxConnections: 1 }), ({ close }) => close());
  await postgres.checkpoint();
  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}, `);
  process.stdout.write(`PostgreSQL ${postgres.version}; ${machines.toLocaleString("en")} machines.\n\n`);
  // Each table is printed once it is complete, so that a failure later loses none.
  const { found, waits } = await measureServer(now, db);
  print(waitHeader, waits);
  print(firstPageHeader, [...(await measureIssues(db, calls)), ...(await measureLabels(db, calls))]);
  print(comparisonHeader, [...found, ...(await compareFleetCount(versions, Math.ceil(calls / 10)))]);
  print(comparisonHeader, await compareLists({ now, before: listsBefore }, listEffort));
  // Last, since heartbeats change what is stored.
  print(comparisonHeader, await compareHeartbeats(versions, calls));
}

/** Compares the count of the fleet and batches of heartbeats alone. */
async function runCosts(postgres: BenchPostgres): Promise<void> {
  const versions = await createVersions(postgres, { commit: values.before, folder, machines });
  await postgres.checkpoint();
  print(comparisonHeader, await compareFleetCount(versions, Math.ceil(calls / 10)));
  print(comparisonHeader, await compareHeartbeats(versions, calls));
}

/** Compares lists and watches alone. */
async function runLists(postgres: BenchPostgres): Promise<void> {
  const versions = await createVersions(postgres, { commit: values["lists-before"], folder, machines });
  await postgres.checkpoint();
  print(comparisonHeader, await compareLists(versions, listEffort));
}

/** Starts the clone's server on its database, and measures whole calls of its administrator. */
async function measureServer(now: FleetVersion, db: Database) {
  await using serving = await serveVersion(now, folder);
  return {
    found: await compareFind(serving.operator, now.databaseUrl, calls),
    waits: await measureWaits(serving.operator, db, { calls, watchers }),
  };
}

function print(header: readonly string[], rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${formatMarkdownTable(header, rows)}\n`);
}
