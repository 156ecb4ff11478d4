/** A thread in which good agents and good operators call all the while, and each answer is timed. */
import http from "node:http";
import https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { FleetService } from "../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import type { AgentCallback } from "../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../src/agent/agent-client.ts";
import { createAgentKey } from "../src/agent/agent-key.ts";
import { createNodeFetch } from "../src/agent/node-fetch.ts";
import { createSigningAgentClient } from "../src/agent/signing-agent-client.ts";
import { LatencyHistogram } from "../src/simulate/latency-histogram.ts";
import type { FromWitness, Latencies, ToWitness, WitnessedServer } from "./witness.ts";

/** Between two calls of one caller, in milliseconds. */
const pauseMs = 100;

const { servers, timeoutMs } = workerData as { servers: readonly WitnessedServer[]; timeoutMs: number };
const port = parentPort;
if (port === null) throw new Error("this is a thread's module");

const paused = new Set<number>();
let phase = "before";
let isStopped = false;
let refusals = 0;
/** Who has not been served yet. */
let callers = 0;
const histograms = new Map<string, { agents: LatencyHistogram; operators: LatencyHistogram }>();

function tell(message: FromWitness): void {
  port?.postMessage(message);
}

/** Calls again and again until the end; what goes wrong is told, and so is that all have been answered once. */
async function repeat(who: "agents" | "operators", server: number, name: string, call: () => Promise<void>) {
  let isServed = false;
  callers++;
  while (!isStopped) {
    await delay(pauseMs);
    if (paused.has(server)) continue;
    const histogram = getHistograms()[who];
    const beganAtMs = performance.now();
    try {
      await call();
      if (isServed) histogram.add(performance.now() - beganAtMs);
      else if (--callers === 0) tell({ type: "ready" });
      isServed = true;
    } catch (error) {
      noteFailure(server, name, error);
    }
  }
}

function getHistograms() {
  const known = histograms.get(phase) ?? { agents: new LatencyHistogram(), operators: new LatencyHistogram() };
  histograms.set(phase, known);
  return known;
}

/** A server that has too much to do may say so. */
function noteFailure(server: number, name: string, error: unknown): void {
  const { code, rawMessage } = ConnectError.from(error);
  if (isStopped || paused.has(server)) return;
  if (code === Code.ResourceExhausted) refusals++;
  else tell({ type: "failure", server, what: `${name}: ${Code[code]}: ${rawMessage}` });
}

async function heartbeat(client: Client<typeof AgentCallback>, machineId: string): Promise<void> {
  const { installationRequest } = await client.heartbeat({ machineId, agentVersion: "witness" }, { timeoutMs });
  if (installationRequest !== undefined) throw new Error("the agent was asked to install what nobody requested");
}

async function startAgent(server: number, { agentUrl, ca, machineId, seed }: WitnessedServer): Promise<void> {
  const key = await createAgentKey(seed);
  const isSecure = agentUrl.startsWith("https:");
  const client = isSecure
    ? createAgentClient({ endpoint: agentUrl, key, ca })
    : createSigningAgentClient({ endpoint: agentUrl, machineId, key, fetch: createNodeFetch() });
  const name = `a good agent with a ${isSecure ? "certificate" : "signature"}`;
  await repeat("agents", server, name, () => heartbeat(client, machineId));
}

async function startOperators(server: number, access: WitnessedServer): Promise<void> {
  const { adminUrl, ca, token, machineId } = access;
  const authenticate: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const common = { baseUrl: adminUrl, interceptors: [authenticate] };
  const agent = adminUrl.startsWith("https:")
    ? new https.Agent({ keepAlive: true, maxSockets: 1, ca })
    : new http.Agent({ keepAlive: true, maxSockets: 1 });
  const http1 = createConnectTransport({ ...common, httpVersion: "1.1", nodeOptions: { agent } });
  const http2 = createGrpcTransport({ ...common, ...(ca !== "" && { nodeOptions: { ca } }) });
  const call = (transport: Transport, name: string) => {
    const machines = createClient(MachineService, transport);
    const fleet = createClient(FleetService, transport);
    return repeat("operators", server, name, async () => {
      await machines.getMachine({ machineId }, { timeoutMs });
      await fleet.getFleet({}, { timeoutMs });
    });
  };
  await Promise.all([
    call(http1, "a good operator over HTTP/1.1"),
    call(http2, "a good operator over HTTP/2"),
    watch(server, createClient(MachineService, http2)),
  ]);
}

/** A watch lasts for as long as its operator wants. */
async function watch(server: number, machines: Client<typeof MachineService>): Promise<void> {
  while (!isStopped) {
    await delay(pauseMs);
    if (paused.has(server)) continue;
    try {
      for await (const _change of machines.watchMachines({}, { signal: stopping.signal }));
      throw new Error("it ended");
    } catch (error) {
      noteFailure(server, "an operator's watch", error);
    }
  }
}

function summarize(histogram: LatencyHistogram): Latencies {
  const [p50Ms, p99Ms] = [histogram.quantile(0.5), histogram.quantile(0.99)];
  return { count: histogram.count, p50Ms, p99Ms, maxMs: histogram.maxMs };
}

const stopping = new AbortController();
port.on("message", (message: ToWitness) => {
  if (message.type === "phase") phase = message.name;
  else if (message.type === "pause") paused.add(message.server);
  else if (message.type === "resume") paused.delete(message.server);
  else {
    isStopped = true;
    stopping.abort();
    const phases = [...histograms].map(([name, { agents, operators }]) => ({
      name,
      agents: summarize(agents),
      operators: summarize(operators),
    }));
    tell({ type: "figures", figures: { phases, refusals } });
  }
});
for (const [index, server] of servers.entries()) {
  void startAgent(index, server);
  void startOperators(index, server);
}
