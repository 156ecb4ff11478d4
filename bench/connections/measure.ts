/**
 * Measures what connections cost a server: the memory of idle connections, and the CPU time of opening and using them.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Protocol } from "./agent-connection.ts";
import type { Held } from "./memory-probe.ts";
import type { Agents, MeasuredServer } from "./processes.ts";

/** Results: memory in KB per connection, and the server's CPU time in microseconds. */
export interface Measured {
  /** Memory after the first heartbeat of all agents. */
  readonly first: Memory;
  /** Memory after all agents have reconnected several times, with one heartbeat on each connection. */
  readonly reconnected: Memory;
  /** Memory after all agents have then reported their hardware and sent many heartbeats on the same connections. */
  readonly used: Memory;
  /** CPU time of opening a connection, with its handshake and one heartbeat. */
  readonly openMicroseconds: number;
  /** CPU time of a heartbeat on an open connection. */
  readonly heartbeatMicroseconds: number;
}

/** Memory per connection, in the two ways in which `Held` counts it. */
export interface Memory {
  readonly processKilobytes: number;
  readonly allocatedKilobytes: number;
}

/** Number of agents, and what they do. */
export interface Effort {
  readonly connections: number;
  readonly reconnections: number;
  /** Heartbeats on one connection, one per second, so that their answers carry different dates. */
  readonly heartbeats: number;
}

/**
 * Number of connections that are opened before the measurement and stay. By then code is compiled and one-time
 * allocations are made, and no freed memory of these connections is left for the measured ones.
 */
export const firstConnections = 300;
const firstHeartbeats = 50;

/** Measures connections of one protocol to a server that has had no connections yet. */
export async function measureConnections(
  server: MeasuredServer,
  agents: Agents,
  protocol: Protocol,
  { connections, reconnections, heartbeats }: Effort,
): Promise<Measured> {
  const open = (count: number) => agents.tell({ what: "open", port: server.port, protocol, count });
  const hangUp = () => agents.tell({ what: "hang-up" });
  const beat = () => agents.tell({ what: "heartbeat" });
  const compare = (before: Held, after: Held): Memory => ({
    processKilobytes: (after.processKilobytes - before.processKilobytes) / connections,
    allocatedKilobytes: (after.allocatedKilobytes - before.allocatedKilobytes) / connections,
  });
  const spend = (before: Held, after: Held, times: number) => (after.cpuMicroseconds - before.cpuMicroseconds) / times;

  await open(firstConnections);
  await agents.tell({ what: "stay" });
  await repeat(firstHeartbeats, beat);
  const before = await server.measure();
  await open(connections);
  const first = await server.measure();
  await repeat(reconnections, async () => {
    await hangUp();
    await open(connections);
  });
  const reconnected = await server.measure();
  await agents.tell({ what: "report" });
  const reported = await server.measure();
  await repeat(heartbeats, async () => {
    await Promise.all([beat(), delay(1_000)]);
  });
  const used = await server.measure();
  return {
    first: compare(before, first),
    reconnected: compare(before, reconnected),
    used: compare(before, used),
    openMicroseconds: spend(first, reconnected, reconnections * connections),
    heartbeatMicroseconds: spend(reported, used, heartbeats * (firstConnections + connections)),
  };
}

async function repeat(times: number, work: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < times; time++) await work();
}
