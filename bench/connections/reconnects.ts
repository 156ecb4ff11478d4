/**
 * Measures what it costs a server when agents connect again over HTTP/2, side by side in rounds, and how long it takes
 * until a fleet that lost its server is back.
 */
import type { Returned } from "./agents.ts";
import type { Agents, MeasuredServer } from "./processes.ts";

/** What agents do in a measurement: with a full handshake or by a session ticket, to bmaas or to the plain server. */
const kinds = ["plain", "full", "resumed"] as const;
type Kind = (typeof kinds)[number];

/** Results of the rounds: the server's CPU time of handshake, first heartbeat and close, in microseconds. */
export type Reconnected = Readonly<Record<Kind, readonly number[]>>;

/** Measures `rounds` rounds of `connections` connections of each kind, after one that does not count. */
export async function measureReconnects(
  servers: { readonly bmaas: MeasuredServer; readonly plain: MeasuredServer },
  agents: Agents,
  { connections, rounds }: { readonly connections: number; readonly rounds: number },
): Promise<Reconnected> {
  const results: Record<Kind, number[]> = { plain: [], full: [], resumed: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const kind of kinds) {
      const server = kind === "plain" ? servers.plain : servers.bmaas;
      const before = await server.readCpu();
      const { port } = server;
      await agents.tell({ what: "open", port, protocol: "h2", count: connections, resumes: kind === "resumed" });
      await agents.tell({ what: "hang-up" });
      if (round > 0) results[kind].push(((await server.readCpu()) - before) / connections);
    }
  }
  return results;
}

/** A fleet's return, and the server's CPU time for it in seconds. */
export interface MeasuredReturn extends Returned {
  readonly agents: number;
  readonly cpuSeconds: number;
}

/** Lets `count` agents connect all at once, as after the loss of their server, each with a full handshake. */
export async function measureReturn(server: MeasuredServer, agents: Agents, count: number): Promise<MeasuredReturn> {
  const before = await server.readCpu();
  const returned = await agents.tell({ what: "return", port: server.port, protocol: "h2", count });
  const cpuSeconds = ((await server.readCpu()) - before) / 1e6;
  await agents.tell({ what: "hang-up" });
  if (returned === "done") throw new Error("the agents did not say how they returned");
  return { ...returned, agents: count, cpuSeconds };
}
