/** What connections cost a server: what they hold while nothing comes over them, and the CPU time of opening and using them. */
import { setTimeout as delay } from "node:timers/promises";
import type { Protocol } from "./agent-connection.ts";
import type { Held } from "./memory-probe.ts";
import type { MeasuredServer, startAgents } from "./processes.ts";

/** Memory is in KB for each connection; CPU time in microseconds of the server. */
export interface Measured {
  /** After the first heartbeat of all agents. */
  readonly first: Memory;
  /** After all have come back again and again, each time over a new connection and with one heartbeat. */
  readonly reconnected: Memory;
  /** After all have gone on over these connections: they have handed in their hardware, and called many times since. */
  readonly used: Memory;
  /** A connection, its handshake and one heartbeat. */
  readonly openMicroseconds: number;
  /** A heartbeat over a connection that is there. */
  readonly heartbeatMicroseconds: number;
}

/** What a connection takes of a process's memory; see `Held`. */
export interface Memory {
  readonly processKilobytes: number;
  readonly allocatedKilobytes: number;
}

/** How many agents, and what they do. */
export interface Effort {
  readonly connections: number;
  readonly reconnections: number;
  /** Over one connection, each in a second of its own: as many different dates come with the answers. */
  readonly heartbeats: number;
}

/**
 * Connections that are there before it counts, and stay: code is compiled, what is made once is made, and nothing that they leave behind
 * makes room for the others.
 */
export const firstConnections = 300;
const firstHeartbeats = 50;

/** Measures connections of one protocol to a server that has had no others yet. */
export async function measureConnections(
  server: MeasuredServer,
  agents: ReturnType<typeof startAgents>,
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

async function repeat(times: number, work: () => Promise<void>): Promise<void> {
  for (let time = 0; time < times; time++) await work();
}
