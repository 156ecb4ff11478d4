/** The processes of the measurement: servers that can be asked what they hold, and the agents. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readAgentUrl, serveEnvironment } from "../measure/serve-command.ts";
import { type ServerCommand, type ServerProcess, startServer } from "../measure/server-process.ts";
import type { Order } from "./agents.ts";
import type { Held } from "./memory-probe.ts";

/** A server that serves. */
export interface MeasuredServer extends AsyncDisposable {
  readonly port: number;
  /** What it holds, after its garbage is collected. */
  measure(): Promise<Held>;
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const connectServer = fileURLToPath(new URL("../end-to-end/connect-server.ts", import.meta.url));

/** `bmaas serve` as it is, with a PostgreSQL of its own, in `home`. */
export async function startBmaas(home: string): Promise<MeasuredServer & { readonly databaseUrl: string }> {
  const environment = { ...serveEnvironment, BMAAS_HOME: home };
  const server = await startMeasured({ program: main, args: ["serve"], environment, readLine: readAgentUrl });
  const databaseUrl = (await readFile(join(home, "database.url"), "utf8")).trim();
  return { ...control(server, Number(new URL(server.said).port)), databaseUrl };
}

/** Plain Connect; its certificate lies in `folder`. */
export async function startPlainConnect(folder: string): Promise<MeasuredServer> {
  const server = await startMeasured({ program: connectServer, args: [folder] });
  return control(server, Number(server.said));
}

function startMeasured(command: ServerCommand): Promise<ServerProcess> {
  const probe = new URL("memory-probe.ts", import.meta.url).href;
  return startServer({ ...command, nodeArgs: ["--expose-gc", "--import", probe] });
}

/** Connections that broke, and the timers of answers, are gone by then. */
const settleMs = 2_000;

function control(server: ServerProcess, port: number): MeasuredServer {
  return {
    port,
    measure: async () => {
      await delay(settleMs);
      return (await server.ask("measure")) as Held;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Starts the agents; `tell` resolves when they have done what they were told. */
export function startAgents(): Disposable & { tell(order: Order): Promise<void> } {
  const child = fork(new URL("agents.ts", import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let isOver = false;
  child.once("exit", () => {
    if (!isOver) throw new Error("the agents' process ended");
  });
  return {
    tell: async (order) => {
      child.send(order);
      await once(child, "message");
    },
    [Symbol.dispose]: () => {
      isOver = true;
      child.kill();
    },
  };
}
