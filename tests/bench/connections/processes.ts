/** The processes of the measurement: servers that can be asked what they hold, and the agents. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Order } from "./agents.ts";
import type { Held } from "./memory-probe.ts";

/** A server that serves. */
export interface MeasuredServer extends AsyncDisposable {
  readonly port: number;
  /** What it holds, after its garbage is collected. */
  measure(): Promise<Held>;
}

/** `bmaas serve` as it is, with a PostgreSQL of its own, in `home`. */
export async function startBmaas(home: string): Promise<MeasuredServer & { readonly databaseUrl: string }> {
  const child = startServer([fileURLToPath(new URL("../../../src/main.ts", import.meta.url)), "serve"], {
    BMAAS_HOME: home,
    BMAAS_AGENT_LISTEN: "127.0.0.1:0",
    BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
    BMAAS_SHUTDOWN_DELAY: "0",
  });
  const line = await readLine(child, (text) => text.includes('"agentUrl"'));
  const { agentUrl } = JSON.parse(line) as { agentUrl: string };
  const databaseUrl = (await readFile(join(home, "database.url"), "utf8")).trim();
  return { ...control(child, Number(new URL(agentUrl).port)), databaseUrl };
}

/** Plain Connect with the certificate of the server in `home`. */
export async function startPlainConnect(home: string): Promise<MeasuredServer> {
  const files = ["server.pem", "server.key"].map((name) => join(home, "tls", name));
  const child = startServer([fileURLToPath(new URL("connect-server.ts", import.meta.url)), ...files], {});
  return control(child, Number(await readLine(child, () => true)));
}

function startServer(program: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess {
  const probe = new URL("memory-probe.ts", import.meta.url).href;
  return spawn(process.execPath, ["--expose-gc", "--import", probe, ...program], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
}

async function readLine(child: ChildProcess, isWanted: (line: string) => boolean): Promise<string> {
  if (child.stdout === null) throw new Error("the server's output is not read");
  for await (const line of createInterface(child.stdout)) if (isWanted(line)) return line;
  throw new Error("the server did not start");
}

/** Connections that broke, and the timers of answers, are gone by then. */
const settleMs = 2_000;

function control(child: ChildProcess, port: number): MeasuredServer {
  child.stdout?.resume();
  return {
    port,
    measure: async () => {
      await delay(settleMs);
      child.send("measure");
      const [held] = await once(child, "message");
      return held as Held;
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Starts the agents; `tell` resolves when they have done what they were told. */
export function startAgents(agentsFile: string): Disposable & { tell(order: Order): Promise<void> } {
  const child = fork(new URL("agents.ts", import.meta.url), [agentsFile], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
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
