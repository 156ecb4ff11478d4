/**
 * `npx node bench/overload.ts` measures what a server still serves at up to five times its capacity, with signed
 * heartbeats of callers that ignore its pacing. It starts a server with its own PostgreSQL, finds its capacity, and
 * prints a table. docs/performance.md explains the results.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { registerCallers, seedFleet } from "./end-to-end/seed-fleet.ts";
import { createBenchIdentity, listCallers } from "./load/fleet.ts";
import { type Answered, Http1Load, type Load } from "./load/http1-load.ts";
import { signJsonRequests } from "./load/sign-heartbeats.ts";
import { readResidentBytes } from "./measure/cpu-time.ts";
import { readAgentUrl, serveEnvironment } from "./measure/serve-command.ts";
import { startServer } from "./measure/server-process.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

/** Number of machines, each with its own connection. */
const machines = 10_000;
const seconds = 8;

const identities = listCallers(machines, machines).map(createBenchIdentity);
const home = await mkdtemp(join(tmpdir(), "bmaas-overload-"));
try {
  await using server = await startServer({
    program: fileURLToPath(new URL("../src/main.ts", import.meta.url)),
    args: ["serve"],
    environment: { ...serveEnvironment, BMAAS_HOME: home, BMAAS_AGENT_TLS: "off" },
    readLine: readAgentUrl,
  });
  const databaseUrl = (await readFile(join(home, "database.url"), "utf8")).trim();
  await seedFleet(databaseUrl, machines);
  await registerCallers(databaseUrl, machines, machines);
  const sign = (count: number) => signJsonRequests(identities, count, server.said);
  const port = Number(new URL(server.said).port);
  const rows: string[][] = [];
  const full = await measureFull(port, sign);
  const capacity = countServed(full) / full.seconds;
  rows.push(toRow("as fast as they are answered", full, capacity, await readResidentBytes(server.pid)));
  for (const times of [0.5, 1, 2, 5]) {
    const perSecond = Math.round(times * capacity);
    const requests = await sign(perSecond * seconds);
    using load = await Http1Load.open(port, machines);
    const seen = await load.sendAt(requests, perSecond);
    rows.push(toRow(`${times} times that`, seen, capacity, await readResidentBytes(server.pid)));
  }
  const header = ["offered", "served/s", "of the most", "refused/s", "left out/s", "served, p50", "p99", "server"];
  process.stdout.write(formatMarkdownTable(header, rows));
} finally {
  await rm(home, { recursive: true, force: true });
}

/** Measures the capacity, with only as many concurrent calls as keep the server busy. */
async function measureFull(port: number, sign: (count: number) => Promise<Buffer[]>): Promise<Load> {
  using few = await Http1Load.open(port, 128);
  // The first heartbeats load their keys and warm up the compiler.
  await few.sendAll(await sign(2 * machines));
  return await few.sendAll(await sign(4 * machines));
}

function countServed({ answered }: Load): number {
  return answered.filter(({ status }) => status === 200).length;
}

function toRow(offered: string, load: Load, capacity: number, residentBytes: number | undefined): string[] {
  const strange = load.answered.find(({ status }) => status !== 200 && status !== 429);
  if (strange !== undefined) throw new Error(`a heartbeat was answered with status ${strange.status}`);
  const served = load.answered.filter(({ status }) => status === 200);
  const refused = load.answered.filter(({ status }) => status === 429);
  if (refused.some(({ retryAfter }) => !(retryAfter >= 1))) throw new Error("a refusal does not say when to come back");
  const rate = (count: number) => Math.round(count / load.seconds).toLocaleString("en");
  return [
    offered,
    rate(served.length),
    (served.length / load.seconds / capacity).toFixed(2),
    rate(refused.length),
    rate(load.unsent),
    `${percentile(served, 0.5)} ms`,
    `${percentile(served, 0.99)} ms`,
    residentBytes === undefined ? "" : `${Math.round(residentBytes / 2 ** 20)} MB`,
  ];
}

function percentile(answered: readonly Answered[], share: number): string {
  const sorted = answered.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN).toFixed(0);
}
