/** A bmaas server of the proof's own, with its own database, and its command line. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { removeEmbeddedPostgres } from "../../src/db/embedded/instance.ts";
import { hostAddress } from "./machine.ts";
import { tellAnswer, tellCommand } from "./transcript.ts";

const program = fileURLToPath(new URL("../../bin/bmaas.js", import.meta.url));
/** Ports of the agents' and the operators' listeners. */
export interface ServerPorts {
  readonly agent: number;
  readonly admin: number;
}

const startTimeoutMs = 120_000;

/** The server, which can be killed and started again. */
export class Server {
  /** URL of the agents' listener, as machines reach it. */
  readonly endpoint: string;
  readonly #home: string;
  readonly #ports: ServerPorts;
  #child: ChildProcess | undefined;

  /** `home` is a folder of its own, and nothing listens on the ports. */
  constructor(home: string, ports: ServerPorts) {
    this.#home = home;
    this.#ports = ports;
    this.endpoint = `https://${hostAddress}:${ports.agent}`;
  }

  /** The CA of the server's certificate. */
  get caFile(): string {
    return join(this.#home, "tls", "ca.pem");
  }

  /** Starts the server. Resolves once it answers. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [program, "serve", ...this.#settings()], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", (line) => lines.push(line));
    }
    const deadline = performance.now() + startTimeoutMs;
    while (!(await this.#answers())) {
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`the server does not start:\n${lines.slice(-10).join("\n")}`);
      }
      await delay(250);
    }
  }

  async #answers(): Promise<boolean> {
    return await fetch(`http://127.0.0.1:${this.#ports.admin}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  /** Kills the server and what it has started, its database included. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    process.kill(-child.pid, "SIGKILL");
    await exited;
  }

  /** Stops the server, and removes its database. */
  async remove(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await exited;
    }
    await removeEmbeddedPostgres(this.#home);
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
      await delay(2000);
    }
  }

  /** Runs a command to its end, and tells each line that it prints at once. */
  async #run(args: readonly string[], onLine: (line: string) => void = () => {}) {
    const child = spawn(process.execPath, [program, ...args], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      createInterface(child[name]).on("line", (line) => {
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
    const url = `http://127.0.0.1:${this.#ports.admin}`;
    return { ...Object.fromEntries(own), NO_COLOR: "1", BMAAS_HOME: this.#home, BMAAS_ADMIN_URL: url };
  }

  #settings(): string[] {
    const { agent, admin } = this.#ports;
    return [
      ...["--agent-listen", `127.0.0.1:${agent}`, "--admin-listen", `127.0.0.1:${admin}`],
      ...["--agent-authority", `${hostAddress}:${agent}`, "--heartbeat-interval", "5", "--shutdown-delay", "0"],
    ];
  }
}

function quote(word: string): string {
  return /^[\w./:=@,+-]+$/.test(word) ? word : `'${word}'`;
}
