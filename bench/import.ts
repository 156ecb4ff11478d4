/**
 * `npm run bench:import` measures `bmaas seed` of a file of a million machines with keys beside `psql \copy` of the
 * same rows into the same tables, and a second seed of a hundred thousand machines, which changes nothing, beside a
 * program that only reads them by one `select` and parses the file. It starts a PostgreSQL of its own. `--help` lists
 * the options, and docs/performance.md explains the results.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { migrateDatabase } from "../src/db/migrate.ts";
import { readScriptOptions, text, toInteger } from "../tools/script-options.ts";
import { startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { writeFleetFile } from "./import/fleet-file.ts";
import { measureProcess, type ProcessCost } from "./import/measure-process.ts";
import { hasPsql, measureCopy } from "./import/psql.ts";
import { median, medianRatio } from "./measure/statistics.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const help = `npm run bench:import -- [options]

  --machines N     machines of the file that is seeded once (1000000)
  --unchanged N    machines of the file that is seeded again (100000)
  --rounds N       rounds of the latter that count (5)
`;

const values = readScriptOptions(help, {
  machines: { ...text, default: "1000000" },
  unchanged: { ...text, default: "100000" },
  rounds: { ...text, default: "5" },
});
const machines = toInteger("machines", values.machines);
const unchanged = toInteger("unchanged", values.unchanged);
const rounds = toInteger("rounds", values.rounds);
const program = fileURLToPath(new URL("../bin/bmaas.js", import.meta.url));
const reader = fileURLToPath(new URL("import/read-and-parse.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "bmaas-import-"));
try {
  await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function run(): Promise<void> {
  await using postgres = await startBenchPostgres();
  const createDatabase = async (name: string) => {
    const url = await postgres.createDatabase(name);
    await migrateDatabase(url, pino({ level: "silent" }));
    return url;
  };
  const seed = (url: string, file: string) =>
    measureProcess(process.execPath, [program, "seed", file], {
      ...{ DATABASE_URL: url, BMAAS_HOME: folder, BMAAS_LOG_LEVEL: "warn" },
    });

  process.stderr.write(`writes a file of ${unchanged} machines, and seeds it ${rounds + 2} times …\n`);
  const small = join(folder, "unchanged.jsonl");
  await writeFleetFile(small, unchanged);
  const unchangedUrl = await createDatabase("unchanged");
  await seed(unchangedUrl, small);
  const again: ProcessCost[] = [];
  const readings: ProcessCost[] = [];
  for (let round = 0; round <= rounds; round++) {
    const [seeded, read] = [
      await seed(unchangedUrl, small),
      await measureProcess(process.execPath, [reader, unchangedUrl, small]),
    ];
    // The first round fills caches.
    if (round === 0) continue;
    again.push(seeded);
    readings.push(read);
  }

  process.stderr.write(`writes a file of ${machines} machines, and seeds it …\n`);
  const large = join(folder, "fleet.jsonl");
  await writeFleetFile(large, machines);
  const seededUrl = await createDatabase("seeded");
  await postgres.checkpoint();
  const first = await seed(seededUrl, large);
  const copied = hasPsql()
    ? await copyByPsql(seededUrl, await createDatabase("copied"), postgres.checkpoint)
    : undefined;
  if (copied === undefined) process.stderr.write("psql is not installed, so nothing is compared with it\n");

  process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}, `);
  process.stdout.write(`PostgreSQL ${postgres.version}.\n\n`);
  const count = (number: number) => number.toLocaleString("en");
  process.stdout.write(
    formatMarkdownTable(
      ["what", "time", "beside", "ratio", "goal", "most memory"],
      [
        [
          `seed of ${count(machines)} new machines with keys, beside \`psql \\copy\``,
          `${first.seconds.toFixed(1)} s`,
          copied === undefined ? "no psql" : `${copied.seconds.toFixed(1)} s`,
          copied === undefined ? "-" : (first.seconds / copied.seconds).toFixed(2),
          "6",
          formatMegabytes([first]),
        ],
        [
          `seed of ${count(unchanged)} unchanged machines, beside reading and parsing`,
          `${median(secondsOf(again)).toFixed(2)} s`,
          `${median(secondsOf(readings)).toFixed(2)} s`,
          medianRatio(secondsOf(again), secondsOf(readings)).toFixed(2),
          "1.5",
          formatMegabytes(again),
        ],
      ],
    ),
  );
}

async function copyByPsql(from: string, to: string, checkpoint: () => Promise<void>): Promise<ProcessCost> {
  process.stderr.write("copies the same rows by psql …\n");
  await checkpoint();
  return await measureCopy({ from, to }, folder);
}

function secondsOf(costs: readonly ProcessCost[]): number[] {
  return costs.map(({ seconds }) => seconds);
}

function formatMegabytes(costs: readonly ProcessCost[]): string {
  const peak = Math.max(...costs.map(({ peakBytes }) => peakBytes ?? Number.NaN));
  return `${Math.round(peak / 1e6)} MB`;
}
