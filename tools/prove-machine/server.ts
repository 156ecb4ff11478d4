/** A bmaas server of the proof's own, with its own database, and its command line. */
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hostAddress } from "./machine.ts";
import { isRunning, type Processes } from "./processes.ts";
import { tellAnswer, tellCommand } from "./transcript.ts";

const program = fileURLToPath(new URL("../../bin/bmaas.js", import.meta.url));

/** Ports of the agents' and the operators' listeners. */
export interface ServerPorts {
  readonly agent: number;
  readonly admin: number;
}

/** Options of `Server`. */
export interface ServerOptions {
  /** A folder of its own. */
  readonly home: string;
  /** Nothing listens on them. */
  readonly ports: ServerPorts;
  readonly processes: Processes;
  /** Ends what is waited for when it aborts. */
  readonly interruption: AbortSignal;
}

const startTimeoutMs = 120_000;

/** The server, which can be killed and started again. */
export class Server {
  /** URL of the agents' listener, as machines reach it. */
  readonly endpoint: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.endpoint = `https://${hostAddress}:${options.ports.agent}`;
  }

  /** The CA of the server's certificate. */
  get caFile(): string {
    return join(this.#options.home, "tls", "ca.pem");
  }

  /** Starts the server. Resolves once it answers. */
  async start(): Promise<void> {
    const child = this.#options.processes.spawn(process.execPath, [program, "serve", ...this.#settings()], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface(stream).on("line", (line) => lines.push(line));
    }
    const deadline = performance.now() + startTimeoutMs;
    while (!(await this.#answers())) {
      if (!isRunning(child) || performance.now() > deadline) {
        throw new Error(`the server does not start:\n${lines.slice(-10).join("\n")}`);
      }
      await delay(250, undefined, { signal: this.#options.interruption });
    }
  }

  async #answers(): Promise<boolean> {
    return await fetch(`http://127.0.0.1:${this.#options.ports.admin}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  /** Kills the server and what it has started, its database included. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!isRunning(child)) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-child.pid, "SIGKILL");
    await exited;
  }

  /** Stops the server and its database. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!isRunning(child)) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await exited;
  }

  /** Runs a command of an operator, and shows it and its answer. Throws unless it exits with `expected`. */
  async type(args: readonly string[], expected = 0): Promise<void> {
    tellCommand(`bmaas ${args.map(quote).join(" ")}`);
    const { status } = await this.#run(args, tellAnswer);
    if (status !== expected) throw new Error(`the command exits with ${status} and not with ${expected}`);
  }

  /** Runs a command, shows nothing, and returns its standard output. Throws if it fails. */
  async read(args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.#run(args);
    if (status !== 0) throw new Error(`bmaas ${args.join(" ")} exits with ${status}: ${stderr}`);
    return stdout;
  }

  /** Asks every two seconds until `find` finds something. Says what is awaited when the time is over. */
  async await<Found>(what: string, timeoutMs: number, find: () => Promise<Found | undefined>): Promise<Found> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await find();
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`${what}: not in ${timeoutMs / 1000} s`);
      await delay(2000, undefined, { signal: this.#options.interruption });
    }
  }

  /** Runs a command to its end, and tells each line that it prints at once. */
  async #run(args: readonly string[], onLine: (line: string) => void = () => {}) {
    const child = this.#options.processes.spawn(process.execPath, [program, ...args], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      createInterface(child[name] as Readable).on("line", (line) => {
        output[name] += `${line}\n`;
        onLine(line);
      });
    }
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { status, ...output };
  }

  /** Settings that are in the environment of whoever runs the proof do not count. */
  #environment(): NodeJS.ProcessEnv {
    const own = Object.entries(process.env).filter(([name]) => !/^(BMAAS_|DATABASE_URL$|PG|NODE_)/.test(name));
    const url = `http://127.0.0.1:${this.#options.ports.admin}`;
    return { ...Object.fromEntries(own), NO_COLOR: "1", BMAAS_HOME: this.#options.home, BMAAS_ADMIN_URL: url };
  }

  #settings(): string[] {
    const { agent, admin } = this.#options.ports;
    return [
      ...["--agent-listen", `127.0.0.1:${agent}`, "--admin-listen", `127.0.0.1:${admin}`],
      ...["--agent-authority", `${hostAddress}:${agent}`, "--heartbeat-interval", "5", "--shutdown-delay", "0"],
    ];
  }
}

function quote(word: string): string {
  return /^[\w./:=@,+-]+$/.test(word) ? word : `'${word}'`;
}
