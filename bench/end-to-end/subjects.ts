/** Starts the servers that are compared on the whole path, each in its own process and ready to be measured. */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { type GcTrace, traceArgs } from "../garbage/gc-trace.ts";
import type { LoadPlan } from "../load/drive.ts";
import { listCallers } from "../load/fleet.ts";
import { type LoadProcess, startLoad } from "../load/load-process.ts";
import { observe } from "../measure/observe.ts";
import type { Effort, Observation, Subject } from "../measure/rounds.ts";
import { readAgentUrl, serveEnvironment } from "../measure/serve-command.ts";
import { startServer } from "../measure/server-process.ts";
import type { BenchPostgres, FleetDatabases } from "./fleet-databases.ts";
import { runPgbench } from "./pgbench.ts";

/** Context that the whole path's parts of a run share. */
export interface WholeContext {
  readonly effort: Effort;
  readonly postgres: BenchPostgres;
  /** Folder for files, which is removed after the run. */
  readonly folder: string;
  /** Number of concurrent calls while the highest rate is measured. */
  readonly inFlight: number;
}

/** Observation of a server, with the latencies of its answers from when the calls were due, in milliseconds. */
export interface TimedObservation extends Observation {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A subject that one of the benchmark's loads calls. */
export interface CalledSubject extends Subject {
  /** Calls the subject at a fixed rate. */
  runAt(perSecond: number, seconds: number): Promise<TimedObservation>;
}

/** A server that a load can call. */
export interface CalledServer {
  readonly pid: number;
  readonly url: string;
}

/** Path of the program `bmaas`. */
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const grpcServer = fileURLToPath(new URL("grpc-server.ts", import.meta.url));
const wireServer = fileURLToPath(new URL("../wire/server.ts", import.meta.url));

/** Starts the product as operators run it, with `args` after `serve`. `trace` gets its garbage collections. */
export async function startOurs(
  { folder }: WholeContext,
  { url }: FleetDatabases,
  resources: AsyncDisposableStack,
  { args = [], agentTls = "on", trace }: { args?: readonly string[]; agentTls?: "on" | "off"; trace?: GcTrace } = {},
): Promise<CalledServer> {
  const server = await startServer({
    program: main,
    nodeArgs: trace === undefined ? [] : traceArgs,
    args: ["serve", ...args],
    environment: {
      ...serveEnvironment,
      DATABASE_URL: url,
      BMAAS_HOME: await mkdtemp(join(folder, "home-")),
      BMAAS_AGENT_TLS: agentTls,
    },
    readLine: (line) => (trace?.take(line) ? undefined : readAgentUrl(line)),
  });
  resources.use(server);
  return { pid: server.pid, url: server.said };
}

/** Starts a grpc-js server with one of grpc-server.ts's stores. */
export async function startGrpcJs(
  { folder }: WholeContext,
  { url }: FleetDatabases,
  resources: AsyncDisposableStack,
  store: "three-transactions" | "our-store",
): Promise<CalledServer> {
  const server = resources.use(await startServer({ program: grpcServer, args: [store, url, folder] }));
  return { pid: server.pid, url: `https://127.0.0.1:${server.said}` };
}

/** Starts a server in Go, the built program of bench/peers, with one of its stores. */
export async function startGo(
  { folder }: Pick<WholeContext, "folder">,
  { url }: Pick<FleetDatabases, "url">,
  resources: AsyncDisposableStack,
  program: string,
  store: "three-transactions" | "one-statement" | "nothing",
): Promise<CalledServer> {
  const { certFile, keyFile } = await ensureDevelopmentTls(folder, ["127.0.0.1"]);
  const args = ["-store", store, "-database-url", url, "-cert", certFile, "-key", keyFile];
  const server = resources.use(await startServer({ program, args }));
  return { pid: server.pid, url: `https://127.0.0.1:${server.said}` };
}

/**
 * Starts a server that shows the cost of these connections and calls in Node alone: it answers them, authenticates
 * nobody and writes nothing. `trace` gets its garbage collections.
 */
export async function startRawHttp2(
  { folder }: WholeContext,
  resources: AsyncDisposableStack,
  trace?: GcTrace,
): Promise<CalledServer> {
  const server = resources.use(
    await startServer({
      program: wireServer,
      nodeArgs: trace === undefined ? [] : traceArgs,
      args: ["http2", folder],
      readLine: (line) => (trace?.take(line) ? undefined : line),
    }),
  );
  return { pid: server.pid, url: `https://127.0.0.1:${server.said}` };
}

/** Opens the connections of a fleet's callers to a server, each with its own certificate. */
export async function openWithCertificates(
  context: WholeContext,
  { machines, callers }: FleetDatabases,
  resources: AsyncDisposableStack,
  name: string,
  server: CalledServer,
): Promise<CalledSubject> {
  const numbers = listCallers(machines, callers);
  const load = resources.use(await startLoad({ kind: "certificates", url: server.url, numbers }));
  return createCalledSubject(context, name, server, load);
}

/** Combines a load and the server that it calls into a subject. */
export function createCalledSubject(
  { postgres, inFlight }: WholeContext,
  name: string,
  { pid }: CalledServer,
  load: LoadProcess,
): CalledSubject {
  const run = async (plan: LoadPlan): Promise<TimedObservation> => {
    await load.prepare(plan);
    const more = { p50Ms: Number.NaN, p99Ms: Number.NaN, failedShare: 0 };
    const observation = await observe({ server: pid, postgres: postgres.pid }, async () => {
      const { calls, failures, seconds, cpuSeconds, p50Ms, p99Ms } = await load.drive(plan);
      Object.assign(more, { p50Ms, p99Ms, failedShare: failures / (calls + failures) });
      return { calls, seconds, loadSeconds: cpuSeconds };
    });
    return { ...observation, ...more };
  };
  return {
    name,
    run: (seconds) => run({ inFlight, seconds }),
    runAt: (perSecond, seconds) => run({ perSecond: Math.round(perSecond), seconds }),
  };
}

/** Creates a subject that runs pgbench on the fleet's second database. */
export function createPgbench(
  { postgres, folder }: WholeContext,
  { machines, pgbenchUrl }: FleetDatabases,
  name: string,
  program: string,
): Subject {
  return {
    name,
    run: (seconds) =>
      observe({ postgres: postgres.pid }, async () => {
        const rate = await runPgbench(program, { url: pgbenchUrl, machines, folder, seconds });
        return { calls: rate * seconds, seconds };
      }),
  };
}
