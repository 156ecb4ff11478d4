/**
 * `npm run bench` compares servers under the same load in one run, and prints tables. `--write` puts them and a chart
 * into docs/performance.md, which explains each row. `--help` lists the other options.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { measureWithCertificates } from "./end-to-end/certificates-part.ts";
import { type BenchPostgres, type FleetDatabases, startBenchPostgres } from "./end-to-end/fleet-databases.ts";
import { measureMemory, memoryMachines } from "./end-to-end/memory-part.ts";
import { measureSigned } from "./end-to-end/signed-part.ts";
import type { WholeContext } from "./end-to-end/subjects.ts";
import { measureWorkers } from "./end-to-end/workers-part.ts";
import { measureGarbage } from "./garbage/garbage-part.ts";
import { type Options, parts, readOptions } from "./options.ts";
import { buildPeers } from "./peers/build.ts";
import { formatCount, formatReport } from "./report/format-report.ts";
import type { Part } from "./report/part.ts";
import { writeReport } from "./report/write-report.ts";
import { requireTools } from "./tools.ts";
import { measureWire } from "./wire/wire-part.ts";

const options = readOptions(process.argv.slice(2));
const tools = await requireTools(options.only);
const resources = new AsyncDisposableStack();
let ended: Promise<void> | undefined;
const end = () => {
  ended ??= resources.disposeAsync();
  return ended;
};
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => void end().finally(() => process.exit(status)));
}
try {
  await run(options);
} finally {
  await end();
}

async function run({ only, effort, write }: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "bmaas-bench-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const measured: Part[] = [];
  if (only.has("wire")) measured.push(await measureWire(effort, folder));
  const postgres = parts.some((part) => part !== "wire" && only.has(part)) ? await startBenchPostgres() : undefined;
  if (postgres !== undefined) measured.push(...(await measureWhole(resources.use(postgres), folder)));
  const software = [`Node ${process.versions.node}`, ...(postgres ? [`PostgreSQL ${postgres.version}`] : [])];
  const effortText = `${effort.rounds} round${effort.rounds === 1 ? "" : "s"} of ${effort.seconds} s for each server`;
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), ${software.join(", ")}`;
  const report = `${machine}; ${effortText}, load and servers on the same cores.\n\n${formatReport(measured)}`;
  process.stdout.write(report);
  if (write) await writeReport(report, measured);
}

async function measureWhole(postgres: BenchPostgres, folder: string): Promise<Part[]> {
  const { only, effort, machines, callers, inFlight } = options;
  const context: WholeContext = { effort, postgres, folder, inFlight };
  const fleets = new Map<number, FleetDatabases>();
  const getFleet = async (size: number, calling = callers) => {
    process.stderr.write(fleets.has(size) ? "" : `a fleet of ${formatCount(size)} machines …\n`);
    const fleet = fleets.get(size) ?? (await postgres.createFleet(size, calling));
    fleets.set(size, fleet);
    return fleet;
  };
  const measured: Part[] = [];
  const [smallest = 1_000] = machines;
  if (only.has("certificates") || only.has("peers")) {
    const built = only.has("peers") ? await buildPeers(folder) : undefined;
    const compared = [];
    for (const size of only.has("certificates") ? machines : [smallest]) compared.push(await getFleet(size));
    const programs = { pgbench: tools.pgbench, go: built?.program };
    const part = await measureWithCertificates(context, compared, programs);
    const notes = built?.missing === undefined ? [] : [`The servers in Go are left out: ${built.missing}.`];
    measured.push({ ...part, notes: [...part.notes, ...notes] });
  }
  if (only.has("signed")) measured.push(await measureSigned(context, await getFleet(smallest)));
  if (only.has("workers")) measured.push(await measureWorkers(context, await getFleet(smallest)));
  if (only.has("memory")) measured.push(await measureMemory(context, await getFleet(memoryMachines, memoryMachines)));
  if (only.has("garbage")) measured.push(await measureGarbage(context, await getFleet(smallest)));
  return measured;
}
