/** What serves heartbeats on the whole path, each started in processes of its own and ready to be measured. */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LoadProcess, startLoad } from "../load/load-process.ts";
import { readCpuSeconds } from "../measure/cpu-time.ts";
import type { Observation, Subject } from "../measure/rounds.ts";
import { startServer } from "../measure/server-process.ts";
import type { BenchPostgres, FleetDatabases } from "./fleet-databases.ts";
import { runPgbench } from "./pgbench.ts";

/** What the subjects of a run share. */
export interface WholeContext {
  readonly postgres: BenchPostgres;
  /** For files, which go with the run. */
  readonly folder: string;
  /** Takes what ends with the run. */
  readonly resources: AsyncDisposableStack;
  /** Calls under way while the most is measured. */
  readonly inFlight: number;
}

/** A subject whose callers have certificates. */
export interface CalledSubject extends Subject {
  readonly load: LoadProcess;
}

const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
const grpcServer = fileURLToPath(new URL("grpc-server.ts", import.meta.url));

/** The product as anybody runs it, with `args` behind `serve`. */
export async function startOurs(
  context: WholeContext,
  fleet: FleetDatabases,
  name: string,
  args: readonly string[] = [],
): Promise<CalledSubject> {
  const home = await mkdtemp(join(context.folder, "home-"));
  const server = await startServer({
    program: main,
    args: ["serve", ...args],
    environment: {
      DATABASE_URL: fleet.url,
      BMAAS_HOME: home,
      BMAAS_AGENT_LISTEN: "127.0.0.1:0",
      BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
      BMAAS_SHUTDOWN_DELAY: "0",
    },
    readLine: (line) => (JSON.parse(line) as { agentUrl?: string }).agentUrl,
  });
  context.resources.use(server);
  return await startCalled(context, fleet, { name, pid: server.pid, url: server.said });
}

/** A server on grpc-js with a store of grpc-server.ts. */
export async function startGrpcJs(
  context: WholeContext,
  fleet: FleetDatabases,
  name: string,
  store: "three-transactions" | "our-store",
): Promise<CalledSubject> {
  const server = await startServer({ program: grpcServer, args: [store, fleet.url, context.folder] });
  context.resources.use(server);
  return await startCalled(context, fleet, { name, pid: server.pid, url: `https://127.0.0.1:${server.said}` });
}

async function startCalled(
  { postgres, resources, inFlight }: WholeContext,
  { machines, callers }: FleetDatabases,
  { name, pid, url }: { name: string; pid: number; url: string },
): Promise<CalledSubject> {
  const load = resources.use(await startLoad({ url, machines, callers }));
  return {
    name,
    load,
    run: (seconds) =>
      observe({ server: pid, postgres: postgres.pid }, async () => {
        const { calls, seconds: took, cpuSeconds } = await load.drive({ inFlight, seconds });
        return { calls, seconds: took, loadSeconds: cpuSeconds };
      }),
  };
}

/** pgbench on the fleet's other database. */
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

type Users = Readonly<{ server?: number | undefined; postgres: number | undefined }>;

/** Runs `work` and says what it cost, by the main processes of those who take part. */
async function observe(
  { server, postgres }: Users,
  work: () => Promise<{ calls: number; seconds: number; loadSeconds?: number }>,
): Promise<Observation> {
  const read = async () => ({
    server: server === undefined ? undefined : await readCpuSeconds(server),
    postgres: postgres === undefined ? undefined : await readCpuSeconds(postgres),
  });
  const before = await read();
  const { calls, seconds, loadSeconds } = await work();
  const after = await read();
  const perCall = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? undefined : ((to - from) * 1e6) / calls;
  const cpu = {
    server: perCall(before.server, after.server),
    postgres: perCall(before.postgres, after.postgres),
    load: perCall(0, loadSeconds),
  };
  const known = Object.entries(cpu).filter(([, microseconds]) => microseconds !== undefined);
  return { perSecond: calls / seconds, cpuMicroseconds: Object.fromEntries(known) };
}
