/**
 * `npm run bench:connections` measures what an agent's TLS connection costs the server: CPU time when it is opened anew
 * or resumed, the time until a fleet that lost its server is back, and memory while connections are idle. It measures
 * a plain Connect server in the same run. `--help` lists the options, and docs/performance.md explains the results.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { readScriptOptions, text, toChoice, toInteger } from "../tools/script-options.ts";
import type { Protocol } from "./connections/agent-connection.ts";
import { firstConnections, type Measured, measureConnections } from "./connections/measure.ts";
import { type MeasuredServer, startAgents, startBmaas, startPlainConnect } from "./connections/processes.ts";
import { measureReconnects, measureReturn } from "./connections/reconnects.ts";
import { registerCallers, seedFleet } from "./end-to-end/seed-fleet.ts";
import { median, medianRatio } from "./measure/statistics.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const parts = ["reconnects", "return", "memory"] as const;

const help = `npm run bench:connections -- [options]

  --only PART          ${parts.join(", ")} (all)
  --rounds N           rounds of reconnects that count (5)
  --returning N        agents that return at once (20000)
  --connections N      connections that are idle while memory is measured (2000)
  --reconnections N    times that each of them is opened anew (4)
  --heartbeats N       heartbeats over each of them (70)
`;

const values = readScriptOptions(help, {
  only: text,
  rounds: { ...text, default: "5" },
  returning: { ...text, default: "20000" },
  connections: { ...text, default: "2000" },
  reconnections: { ...text, default: "4" },
  heartbeats: { ...text, default: "70" },
});
const effort = {
  connections: toInteger("connections", values.connections),
  reconnections: toInteger("reconnections", values.reconnections, 0),
  heartbeats: toInteger("heartbeats", values.heartbeats, 0),
};
const only = values.only === undefined ? undefined : toChoice("only", values.only, parts);
const rounds = toInteger("rounds", values.rounds);
const returning = toInteger("returning", values.returning);
const isWanted = (part: (typeof parts)[number]) => only === undefined || only === part;
/** Typical memory per core of rented machines, in bytes. */
const bytesPerCore = 4 * 2 ** 30;

const folder = await mkdtemp(join(tmpdir(), "bmaas-connections-"));
const home = join(folder, "home");
const tables: string[] = [];
const rows: { readonly name: string; readonly measured: Measured }[] = [];
try {
  await registerAgents();
  if (isWanted("reconnects")) tables.push(await compareReconnects());
  if (isWanted("return")) tables.push(await measureFleet());
  for (const protocol of isWanted("memory") ? (["h2", "http/1.1"] as const) : []) {
    await measureOne(`bmaas, ${nameOf(protocol)}`, () => startBmaas(home), protocol);
    await measureOne(`plain Connect, ${nameOf(protocol)}`, () => startPlainConnect(home), protocol);
  }
  if (isWanted("memory")) tables.push(...formatMemory());
} finally {
  await rm(folder, { recursive: true, force: true });
}
const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}`;
process.stdout.write(`${machine}; each connection has a certificate of its own.\n\n${tables.join("\n")}`);

/** Registers the machines. The database, and the machines in it, stay for the servers that follow. */
async function registerAgents(): Promise<void> {
  await using server = await startBmaas(home);
  const machines = Math.max(firstConnections + effort.connections, isWanted("return") ? returning : 0);
  await seedFleet(server.databaseUrl, machines);
  await registerCallers(server.databaseUrl, machines, machines);
}

async function compareReconnects(): Promise<string> {
  process.stderr.write("reconnects …\n");
  await using bmaas = await startBmaas(home);
  await using plain = await startPlainConnect(home);
  using agents = startAgents();
  const { connections } = effort;
  const results = await measureReconnects({ bmaas, plain }, agents, { connections, rounds });
  const { plain: plainOnes, full, resumed } = results;
  const ratio = (ones: readonly number[], others: readonly number[]) => medianRatio(ones, others).toFixed(2);
  return formatMarkdownTable(
    ["CPU time of the server, HTTP/2", "handshake, heartbeat and close", "ratio", "to", "wanted"],
    [
      ["plain Connect, full handshake", formatMicroseconds(median(plainOnes)), "", "", ""],
      ["bmaas, full handshake", formatMicroseconds(median(full)), ratio(full, plainOnes), "plain Connect", "0.85"],
      ["bmaas, session resumed", formatMicroseconds(median(resumed)), ratio(resumed, full), "full handshake", "0.50"],
    ],
  );
}

async function measureFleet(): Promise<string> {
  process.stderr.write("a fleet returns …\n");
  await using server = await startBmaas(home);
  using agents = startAgents();
  const { seconds, cpuSeconds, refused, refusedTwice } = await measureReturn(server, agents, returning);
  return formatMarkdownTable(
    ["agents that return at once", "until the last is in", "server's CPU time", "ratio", "refused", "refused twice"],
    [
      [
        returning.toLocaleString("en"),
        `${seconds.toFixed(1)} s`,
        `${cpuSeconds.toFixed(1)} s`,
        (seconds / cpuSeconds).toFixed(2),
        refused.toLocaleString("en"),
        refusedTwice.toLocaleString("en"),
      ],
    ],
  );
}

async function measureOne(name: string, start: () => Promise<MeasuredServer>, protocol: Protocol): Promise<void> {
  process.stderr.write(`${name} …\n`);
  await using server = await start();
  using agents = startAgents();
  rows.push({ name, measured: await measureConnections(server, agents, protocol, effort) });
}

function nameOf(protocol: Protocol): string {
  return protocol === "h2" ? "HTTP/2" : "HTTP/1.1";
}

function formatMemory(): string[] {
  const { reconnections, heartbeats } = effort;
  const memory = formatMarkdownTable(
    [
      "KB for each connection",
      "resident, at first",
      "allocated, at first",
      `reconnected ${reconnections} times`,
      `${heartbeats} heartbeats on`,
      "agents in 1 GB",
    ],
    rows.map(({ name, measured: { first, reconnected, used } }) => [
      name,
      first.processKilobytes.toFixed(1),
      ...[first, reconnected, used].map(({ allocatedKilobytes }) => allocatedKilobytes.toFixed(1)),
      Math.floor(2 ** 20 / used.allocatedKilobytes).toLocaleString("en"),
    ]),
  );
  const time = formatMarkdownTable(
    ["CPU time of the server", "heartbeat", "handshake and heartbeat", "closing pays from"],
    rows.map(({ name, measured }) => [
      name,
      formatMicroseconds(measured.heartbeatMicroseconds),
      formatMicroseconds(measured.openMicroseconds),
      `${Math.round(findBreakEvenSeconds(measured))} s`,
    ]),
  );
  return [memory, time];
}

function formatMicroseconds(value: number): string {
  return `${Math.round(value)} µs`;
}

/**
 * Returns the heartbeat interval, in seconds, from which a core can open connections for more agents than its memory
 * can keep connected.
 */
function findBreakEvenSeconds({ openMicroseconds, heartbeatMicroseconds, used }: Measured): number {
  const kept = bytesPerCore / 1024 / used.allocatedKilobytes;
  return (kept * (openMicroseconds - heartbeatMicroseconds)) / 1e6;
}
