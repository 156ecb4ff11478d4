/**
 * The process of all agents of the measurement. It carries out the orders of its parent, and reports when each is done.
 */
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { backoff } from "../../src/agent/backoff.ts";
import { issueClientCertificate } from "../load/client-certificate.ts";
import { createBenchIdentity } from "../load/fleet.ts";
import { type AgentConnection, openConnection, type Protocol } from "./agent-connection.ts";

/**
 * Order to the agents. "open": `count` more agents open a connection each and send one heartbeat, and resume their last
 * session with that server if they are told to. "return": `count` more agents do the same all at once, and try again
 * after a pause, as `bmaas agent` does, until they are in. "stay": the connected
 * agents stay connected from now on. "heartbeat" and "report": all connected agents send a heartbeat, without or with
 * their hardware. "hang-up": the agents that do not stay disconnect.
 */
export type Order =
  | {
      readonly what: "open" | "return";
      readonly port: number;
      readonly protocol: Protocol;
      readonly count: number;
      readonly resumes?: boolean;
    }
  | { readonly what: "stay" | "heartbeat" | "report" | "hang-up" };

/** How agents returned: until the last one was in, and how many were refused. */
export interface Returned {
  readonly seconds: number;
  readonly refused: number;
  readonly refusedTwice: number;
}

interface Agent {
  readonly machineId: string;
  /** Last sessions by the server's port. */
  readonly sessions: Map<number, Buffer>;
  readonly certificate: { cert: string; key: string };
}

interface Connected {
  readonly agent: Agent;
  readonly connection: AgentConnection;
  readonly port: number;
}

/** All agents that have been connected; each keeps its certificate. */
const agents: Agent[] = [];
const staying: Connected[] = [];
const others: Connected[] = [];
const atOnce = 16;

process.on("message", async (order: Order) => {
  process.send?.((await carryOut(order)) ?? "done");
});

async function carryOut(order: Order): Promise<Returned | undefined> {
  switch (order.what) {
    case "open":
      await forEach(takeAgents(order.count), (agent) => open(agent, order));
      return undefined;
    case "return":
      return await returnAtOnce(order);
    case "stay":
      staying.push(...others.splice(0));
      return undefined;
    case "heartbeat":
      await forEach([...staying, ...others], ({ agent: { machineId }, connection }) =>
        connection.heartbeat(encode({ machineId })),
      );
      return undefined;
    case "report":
      await forEach([...staying, ...others], ({ agent: { machineId }, connection }) =>
        connection.heartbeat(encode({ machineId, hardwareReport: describeHardware(machineId) })),
      );
      return undefined;
    case "hang-up":
      for (const { agent, connection, port } of others.splice(0)) {
        if (connection.session !== undefined) agent.sessions.set(port, connection.session);
        connection.close();
      }
      return undefined;
  }
}

type Opening = Extract<Order, { what: "open" | "return" }>;

/** Returns the next `count` agents after those that stay. */
function takeAgents(count: number): readonly Agent[] {
  const [first, end] = [staying.length, staying.length + count];
  while (agents.length < end) agents.push(createAgent(agents.length + 1));
  return agents.slice(first, end);
}

async function open(agent: Agent, { port, protocol, resumes }: Opening): Promise<void> {
  const session = resumes ? agent.sessions.get(port) : undefined;
  const connection = await openConnection(port, agent.certificate, protocol, session);
  await connection.heartbeat(encode({ machineId: agent.machineId }));
  others.push({ agent, connection, port });
}

async function returnAtOnce(order: Opening): Promise<Returned> {
  const startedAtMs = performance.now();
  const returning: Promise<number>[] = [];
  for (const [index, agent] of takeAgents(order.count).entries()) {
    // Each agent sends its first bytes as soon as it is connected, as if it were alone on its machine. If all began in
    // one turn of the event loop, the first ones would be silent for longer than a server waits.
    if (index % atOnce === 0) await setImmediate();
    returning.push(comeBack(agent, order));
  }
  const failures = await Promise.all(returning);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const count = (least: number) => failures.filter((failed) => failed >= least).length;
  return { seconds, refused: count(1), refusedTwice: count(2) };
}

/** Tries again until the agent is in, and returns how often it failed. */
async function comeBack(agent: Agent, order: Opening): Promise<number> {
  for (let failed = 0; ; failed++) {
    try {
      await open(agent, order);
      return failed;
    } catch {
      await delay(backoff(failed + 1, 60_000, 0, Math.random));
    }
  }
}

function createAgent(number: number): Agent {
  const identity = createBenchIdentity(number);
  return { machineId: identity.machineId, certificate: issueClientCertificate(identity), sessions: new Map() };
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
