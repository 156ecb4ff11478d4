/**
 * `npx node bench/connections.ts` measures what an agent's TLS connection costs the server: memory while it is idle,
 * and CPU time when it is opened. It measures a plain Connect server in the same run. `--connections`,
 * `--reconnections` and `--heartbeats` set the numbers. docs/performance.md explains the results.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Protocol } from "./connections/agent-connection.ts";
import { firstConnections, type Measured, measureConnections } from "./connections/measure.ts";
import { type MeasuredServer, startAgents, startBmaas, startPlainConnect } from "./connections/processes.ts";
import { registerCallers, seedFleet } from "./end-to-end/seed-fleet.ts";
import { formatMarkdownTable } from "./report/markdown-table.ts";

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "2000" },
    reconnections: { type: "string", default: "4" },
    heartbeats: { type: "string", default: "70" },
  },
});
const effort = {
  connections: Number(values.connections),
  reconnections: Number(values.reconnections),
  heartbeats: Number(values.heartbeats),
};
/** Typical memory per core of rented machines, in bytes. */
const bytesPerCore = 4 * 2 ** 30;

const folder = await mkdtemp(join(tmpdir(), "bmaas-connections-"));
const home = join(folder, "home");
const rows: { readonly name: string; readonly measured: Measured }[] = [];
try {
  await registerAgents();
  for (const protocol of ["h2", "http/1.1"] as const) {
    await measureOne(`bmaas, ${nameOf(protocol)}`, () => startBmaas(home), protocol);
    await measureOne(`plain Connect, ${nameOf(protocol)}`, () => startPlainConnect(home), protocol);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.stdout.write(formatReport());

/** Registers the machines. The database, and the machines in it, stay for the servers that follow. */
async function registerAgents(): Promise<void> {
  await using server = await startBmaas(home);
  const machines = firstConnections + effort.connections;
  await seedFleet(server.databaseUrl, machines);
  await registerCallers(server.databaseUrl, machines, machines);
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

function formatReport(): string {
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}`;
  const { connections, reconnections, heartbeats } = effort;
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
  return `${machine}; ${connections.toLocaleString("en")} connections, each with a certificate of its own.\n\n${memory}\n${time}`;
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
