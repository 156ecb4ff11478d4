/** Machines whose agents are connected to several servers. */
import type { AgentKey } from "../../src/agent/agent-key.ts";
import type { Database } from "../../src/db/client.ts";
import { grpcAgent, type HeartbeatInit, type TestAgent } from "./agents.ts";
import { machineWithAgent, type TestMachine } from "./machine.ts";

/** A server that agents can call. */
export type Callable = { readonly agentUrl: string; readonly ca: string };

/** A machine whose agent has a connection to each of several servers, as after a failover. */
export interface FleetMachine extends TestMachine, Disposable {
  /** Sends a heartbeat to the server with this index. Resolves to the generation that it is given, if any. */
  beat(server: number, init?: HeartbeatInit): Promise<bigint | undefined>;
}

/** Creates a machine whose agent authenticates by certificate. */
export async function machineOn(db: Database, servers: readonly Callable[]): Promise<FleetMachine> {
  const { machineId, key } = await machineWithAgent(db);
  return { ...connectMachine(machineId, key, servers), machineId, key };
}

/** Connects another agent of a machine, with another key, that knows the fields that Monogon agents do not have. */
export function connectMachine(
  machineId: string,
  key: AgentKey,
  servers: readonly Callable[],
): Pick<FleetMachine, "beat" | typeof Symbol.dispose> {
  const agents = servers.map((server) => grpcAgent(server, key));
  return {
    beat: async (server, init = {}) => {
      const answer = await (agents[server] as TestAgent).heartbeat({ machineId, agentVersion: "test", ...init });
      return answer.installationRequest?.generation;
    },
    [Symbol.dispose]: () => {
      for (const agent of agents) agent[Symbol.dispose]();
    },
  };
}

/** Returns a heartbeat that reports the generation as installed. */
export function success(generation: bigint): HeartbeatInit {
  return { installationReport: { generation, result: { case: "success", value: {} } } };
}
