/** All agents of the measurement, in a process of their own: `agents.ts AGENTS_FILE`. Does what its parent tells it, and says when it is done. */
import { readFileSync } from "node:fs";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type Agent, type AgentConnection, openConnection, type Protocol } from "./agent-connection.ts";

/** What the agents are told: to open a connection each and call on it once, to call again with their hardware or without, or to hang up. */
export type Order =
  | { readonly what: "open"; readonly port: number; readonly protocol: Protocol; readonly count: number }
  | { readonly what: "heartbeat" | "report" | "close" };

const agents = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Agent[];
const open: { readonly agent: Agent; readonly connection: AgentConnection }[] = [];
const atOnce = 16;

process.on("message", async (order: Order) => {
  await carryOut(order);
  process.send?.("done");
});

async function carryOut(order: Order): Promise<void> {
  switch (order.what) {
    case "open":
      return await forEach(agents.slice(0, order.count), async (agent) => {
        const connection = await openConnection(order.port, agent, order.protocol);
        await connection.heartbeat(encode({ machineId: agent.machineId }));
        open.push({ agent, connection });
      });
    case "heartbeat":
      return await forEach(open, ({ agent: { machineId }, connection }) => connection.heartbeat(encode({ machineId })));
    case "report":
      return await forEach(open, ({ agent: { machineId }, connection }) =>
        connection.heartbeat(encode({ machineId, hardwareReport: describeHardware(machineId) })),
      );
    case "close":
      for (const { connection } of open.splice(0)) connection.close();
  }
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

/** About 1.2 kB, as a server with a dozen disks sends it. */
function describeHardware(machineId: string) {
  const blockDevice = Array.from({ length: 16 }, (_, disk) => ({
    deviceModel: "Simulated disk of some size",
    serialNumber: `${machineId}-${disk}`,
    capacityBytes: 960_197_124_096n,
  }));
  return { report: { manufacturer: "bmaas", product: "simulated machine", serialNumber: machineId, blockDevice } };
}
