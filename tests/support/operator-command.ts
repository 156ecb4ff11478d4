/** Runs operators' commands against a test's server, with a given token, with or without a terminal. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { JsonObject } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import {
  mainFile,
  makeFolder,
  type ProgramOptions,
  type ProgramResult,
  type RunningProgram,
  runProgram,
  startProgram,
} from "./program.ts";
import { waitUntil } from "./wait.ts";

/** Runs commands of one operator. */
export interface OperatorCommand {
  run(...args: string[]): Promise<ProgramResult>;
  /** Runs a command with --json, which must exit with 0, and returns its parsed output. */
  json(...args: string[]): Promise<JsonObject>;
  /** Starts a command that keeps running. It is killed when the test ends. */
  start(...args: string[]): RunningProgram;
  /** Starts a command on a terminal. */
  startOnTerminal(...args: string[]): Promise<Terminal>;
}

/** A terminal with a command on it. */
export interface Terminal {
  /** Returns everything shown so far, control sequences included. */
  readonly shown: () => string;
  /** Resolves once `text` has been shown. */
  waitFor(text: string | RegExp): Promise<unknown>;
  type(text: string): void;
  /** Resolves to the exit status. */
  readonly exited: Promise<number | null>;
}

/** Whether the program that creates terminals is installed: script of util-linux. */
export const hasTerminals = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") ?? false;

/** Returns an operator's commands with the token `secret`. `environment` overrides their settings. */
export function operatorCommand(
  adminUrl: string,
  secret: string,
  environment: Record<string, string> = {},
): OperatorCommand {
  const settings = { BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: secret, ...environment };
  const options: ProgramOptions = { environment: settings };
  return {
    run: (...args) => runProgram(args, options),
    async json(...args) {
      const { status, stdout, stderr } = await runProgram([...args, "--json"], options);
      if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
      return JSON.parse(stdout) as JsonObject;
    },
    start(...args) {
      const program = startProgram(args, options);
      program.child.stdin?.end();
      onTestFinished(() => void program.child.kill("SIGKILL"));
      return program;
    },
    startOnTerminal: async (...args) => startOnTerminal(args, settings),
  };
}

async function startOnTerminal(args: readonly string[], settings: Record<string, string>): Promise<Terminal> {
  const command = [process.execPath, mainFile, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", `stty cols 100 && ${command}`, "/dev/null"], {
    cwd: await makeFolder(),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TERM: "xterm-256color", ...settings },
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    shown: () => shown,
    waitFor: (text) =>
      waitUntil(`the terminal shows ${text}`, () =>
        typeof text === "string" ? shown.includes(text) : text.test(shown),
      ),
    type: (text) => void child.stdin.write(text),
    exited: once(child, "close").then(([status]) => status as number | null),
  };
}
