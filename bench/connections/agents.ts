/**
 * The process of all agents of the measurement. It carries out the orders of its parent, and reports when each is done.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { issueClientCertificate } from "../load/client-certificate.ts";
import { createBenchIdentity } from "../load/fleet.ts";
import { type AgentConnection, openConnection, type Protocol } from "./agent-connection.ts";

/**
 * Order to the agents. "open": `count` more agents open a connection each and send one heartbeat. "stay": the connected
 * agents stay connected from now on. "heartbeat" and "report": all connected agents send a heartbeat, without or with
 * their hardware. "hang-up": the agents that do not stay disconnect.
 */
export type Order =
  | { readonly what: "open"; readonly port: number; readonly protocol: Protocol; readonly count: number }
  | { readonly what: "stay" | "heartbeat" | "report" | "hang-up" };

interface Agent {
  readonly machineId: string;
  readonly certificate: { cert: string; key: string };
}

interface Connected {
  readonly agent: Agent;
  readonly connection: AgentConnection;
}

/** All agents that have been connected; each keeps its certificate. */
const agents: Agent[] = [];
const staying: Connected[] = [];
const others: Connected[] = [];
const atOnce = 16;

process.on("message", async (order: Order) => {
  await carryOut(order);
  process.send?.("done");
});

async function carryOut(order: Order): Promise<void> {
  switch (order.what) {
    case "open":
      return await openMore(order);
    case "stay":
      staying.push(...others.splice(0));
      return;
    case "heartbeat":
      return await forEach([...staying, ...others], ({ agent: { machineId }, connection }) =>
        connection.heartbeat(encode({ machineId })),
      );
    case "report":
      return await forEach([...staying, ...others], ({ agent: { machineId }, connection }) =>
        connection.heartbeat(encode({ machineId, hardwareReport: describeHardware(machineId) })),
      );
    case "hang-up":
      for (const { connection } of others.splice(0)) connection.close();
  }
}

async function openMore({ port, protocol, count }: Extract<Order, { what: "open" }>): Promise<void> {
  const [first, end] = [staying.length, staying.length + count];
  while (agents.length < end) agents.push(createAgent(agents.length + 1));
  await forEach(agents.slice(first, end), async (agent) => {
    const connection = await openConnection(port, agent.certificate, protocol);
    await connection.heartbeat(encode({ machineId: agent.machineId }));
    others.push({ agent, connection });
  });
}

function createAgent(number: number): Agent {
  const identity = createBenchIdentity(number);
  return { machineId: identity.machineId, certificate: issueClientCertificate(identity) };
}

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const workOn = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, workOn));
}

function encode(request: MessageInitShape<typeof HeartbeatRequestSchema>): Uint8Array {
  return toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, request));
}

/** Returns a hardware report of about 1.2 kB, like that of a server with a dozen disks. */
function describeHardware(machineId: string) {
  const blockDevice = Array.from({ length: 16 }, (_, disk) => ({
    deviceModel: "Simulated disk of some size",
    serialNumber: `${machineId}-${disk}`,
    capacityBytes: 960_197_124_096n,
  }));
  return { report: { manufacturer: "bmaas", product: "simulated machine", serialNumber: machineId, blockDevice } };
}
