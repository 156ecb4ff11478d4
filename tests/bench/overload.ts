/**
 * `npm run bench:overload`: what a server still serves when five times as much comes as it can serve, in signed heartbeats of callers
 * who obey nobody. It starts a server with a PostgreSQL of its own, finds its capacity, and prints a table. See docs/performance.md.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { formatTable } from "../../src/cli/table.ts";
import { type Answered, Http1Load, type Load } from "./overload/http1-load.ts";
import { registerMachines, signHeartbeats } from "./overload/signed-requests.ts";

/** Each with a connection of its own. */
const machines = 10_000;
const seconds = 8;

const home = await mkdtemp(join(tmpdir(), "bmaas-overload-"));
const server = spawn(process.execPath, [fileURLToPath(new URL("../../src/main.ts", import.meta.url)), "serve"], {
  env: {
    ...process.env,
    BMAAS_HOME: home,
    BMAAS_AGENT_LISTEN: "127.0.0.1:0",
    BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
    BMAAS_AGENT_TLS: "off",
    BMAAS_SHUTDOWN_DELAY: "0",
  },
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  const agentUrl = await readAgentUrl();
  const databaseUrl = (await readFile(join(home, "database.url"), "utf8")).trim();
  const identities = await registerMachines(databaseUrl, machines);
  const sign = (count: number) => signHeartbeats(agentUrl, identities, count);
  const rows: string[][] = [];
  const full = await measureFull(agentUrl, sign);
  const capacity = countServed(full) / full.seconds;
  rows.push(toRow("as fast as they are answered", full, capacity));
  for (const times of [0.5, 1, 2, 5]) {
    const perSecond = Math.round(times * capacity);
    const requests = await sign(perSecond * seconds);
    using load = await Http1Load.open(Number(new URL(agentUrl).port), machines);
    rows.push(toRow(`${times} times that`, await load.sendAt(requests, perSecond), capacity));
  }
  const header = ["offered", "served/s", "of the most", "refused/s", "left out/s", "served, p50", "p99", "server"];
  process.stdout.write(formatTable(header, rows));
} finally {
  server.kill("SIGTERM");
  await new Promise((resolve) => server.once("exit", resolve));
  await rm(home, { recursive: true, force: true });
}

/** With as many calls under way as keep the server busy, and no more. */
async function measureFull(agentUrl: string, sign: (count: number) => Promise<Buffer[]>): Promise<Load> {
  using few = await Http1Load.open(Number(new URL(agentUrl).port), 128);
  // The first heartbeats have their keys read, and are what the compiler learns from.
  await few.sendAll(await sign(2 * machines));
  return await few.sendAll(await sign(4 * machines));
}

async function readAgentUrl(): Promise<string> {
  for await (const line of createInterface(server.stdout)) {
    const { agentUrl } = JSON.parse(line) as { agentUrl?: string };
    if (agentUrl !== undefined) return agentUrl;
  }
  throw new Error("the server did not start");
}

function countServed({ answered }: Load): number {
  return answered.filter(({ status }) => status === 200).length;
}

function toRow(offered: string, load: Load, capacity: number): string[] {
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
    `${residentMegabytes()} MB`,
  ];
}

/** What the server holds in memory. */
function residentMegabytes(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
}

function percentile(answered: readonly Answered[], share: number): string {
  const sorted = answered.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN).toFixed(0);
}
