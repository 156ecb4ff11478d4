/** Starts the processes of the measurement: servers that report their memory, and the agents. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readAgentUrl, serveEnvironment } from "../measure/serve-command.ts";
import { type ServerCommand, type ServerProcess, startServer } from "../measure/server-process.ts";
import type { Order, Returned } from "./agents.ts";
import type { Held } from "./memory-probe.ts";

/** A running server. */
export interface MeasuredServer extends AsyncDisposable {
  readonly port: number;
  /** Returns its memory after a garbage collection, and its CPU time. */
  measure(): Promise<Held>;
  /** Returns its CPU time so far, in microseconds, once closed connections are gone. */
  readCpu(): Promise<number>;
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const connectServer = fileURLToPath(new URL("../end-to-end/connect-server.ts", import.meta.url));

/** Starts `bmaas serve` unchanged, with its own PostgreSQL, in `home`. */
export async function startBmaas(home: string): Promise<MeasuredServer & { readonly databaseUrl: string }> {
  const environment = { ...serveEnvironment, BMAAS_HOME: home };
  const server = await startMeasured({ program: main, args: ["serve"], environment, readLine: readAgentUrl });
  const databaseUrl = (await readFile(join(home, "database.url"), "utf8")).trim();
  return { ...control(server, Number(new URL(server.said).port)), databaseUrl };
}

/** Starts a plain Connect server with its certificate in `folder`. */
export async function startPlainConnect(folder: string): Promise<MeasuredServer> {
  const server = await startMeasured({ program: connectServer, args: [folder] });
  return control(server, Number(server.said));
}

function startMeasured(command: ServerCommand): Promise<ServerProcess> {
  const probe = new URL("memory-probe.ts", import.meta.url).href;
  return startServer({ ...command, nodeArgs: ["--expose-gc", "--import", probe] });
}

/** Time after which closed connections and timers of answers are gone, in milliseconds. */
const settleMs = 2_000;

/** Time after which the server has ended closed connections, in milliseconds. */
const closeMs = 500;

function control(server: ServerProcess, port: number): MeasuredServer {
  return {
    port,
    measure: async () => {
      await delay(settleMs);
      return (await server.ask("measure")) as Held;
    },
    readCpu: async () => {
      await delay(closeMs);
      return (await server.ask("cpu")) as number;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The agents. */
export interface Agents extends Disposable {
  /** Resolves when they have carried out the order, after "return" to how they returned. */
  tell(order: Order): Promise<Returned | "done">;
}

/** Starts the agents. */
export function startAgents(): Agents {
  const child = fork(new URL("agents.ts", import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let isOver = false;
  child.once("exit", () => {
    if (!isOver) throw new Error("the agents' process ended");
  });
  return {
    tell: async (order) => {
      child.send(order);
      const [answer] = (await once(child, "message")) as [Returned | "done"];
      return answer;
    },
    [Symbol.dispose]: () => {
      isOver = true;
      child.kill();
    },
  };
}
