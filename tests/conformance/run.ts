/**
 * `npm run conformance`: the Connect conformance suite against our server, once with Connect's handler alone and once
 * with the unary lane before it. What follows `--` goes to the suite, `-- --run 'Timeouts/**' --trace` for example; see
 * docs/conformance.md.
 *
 * It needs Go and fetches nothing but the suite's Go module. Status 0: every case passed. 1: not so. 2: there is no Go,
 * or it is too old.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openHost } from "./host.ts";
import type { LaneSetting } from "./server.ts";

const suiteModule = "connectrpc.com/conformance";
const suiteVersion = "v1.0.7";
/** Of Go 1. From 1.21 on Go brings the version that a module asks for, if it may. */
const oldestGoMinor = 25;

const programFolder = fileURLToPath(new URL(`../../node_modules/.cache/conformance/${suiteVersion}`, import.meta.url));
const features = fileURLToPath(new URL("suite.yaml", import.meta.url));
const relay = fileURLToPath(new URL("relay.js", import.meta.url));

process.exitCode = await run(process.argv.slice(2));

async function run(suiteArguments: readonly string[]): Promise<number> {
  const problem = findGoProblem();
  if (problem !== undefined) {
    process.stderr.write(
      `The conformance suite is a Go program and needs Go 1.${oldestGoMinor} or later: ${problem}.\n`,
    );
    return 2;
  }
  const suite = installSuite();
  if (suite === undefined) {
    process.stderr.write(`${suiteModule} ${suiteVersion} could not be installed; go has said why.\n`);
    return 1;
  }
  const isPassedOff = await passes(suite, "off", suiteArguments);
  const isPassedOn = await passes(suite, "on", suiteArguments);
  return isPassedOff && isPassedOn ? 0 : 1;
}

function findGoProblem(): string | undefined {
  const { error, status, stdout } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  if (error !== undefined || status !== 0) return "no go on the PATH that works";
  const minor = /go1\.(\d+)/.exec(stdout)?.[1];
  return Number(minor) >= oldestGoMinor ? undefined : `this is ${stdout.trim()}`;
}

/** The suite's program, built unless it is there; undefined when it cannot be. */
function installSuite(): string | undefined {
  const program = join(programFolder, process.platform === "win32" ? "connectconformance.exe" : "connectconformance");
  if (existsSync(program)) return program;
  process.stdout.write(`Installing ${suiteModule} ${suiteVersion}\n`);
  const command = ["install", `${suiteModule}/cmd/connectconformance@${suiteVersion}`];
  const { status } = spawnSync("go", command, { stdio: "inherit", env: { ...process.env, GOBIN: programFolder } });
  return status === 0 ? program : undefined;
}

/** Runs the suite; cases that a moment's stall can fail are tried once more. */
async function passes(suite: string, lane: LaneSetting, suiteArguments: readonly string[]): Promise<boolean> {
  process.stdout.write(`\nUnary lane ${lane}\n`);
  await using host = await openHost(lane);
  const failed = await findFailures(suite, host.port, suiteArguments);
  if (failed.length === 0 || !failed.every(hasDeadline)) return failed.length === 0;
  process.stdout.write(`\nUnary lane ${lane}, failed cases with a deadline once more\n`);
  const again = await findFailures(suite, host.port, failed.flatMap(toRunOption));
  return again.length === 0;
}

/**
 * Returns the names of the cases that fail, or a word for what else went wrong; none if all pass. Prints what the suite
 * prints.
 */
async function findFailures(suite: string, port: number, suiteArguments: readonly string[]): Promise<string[]> {
  const options = ["--mode", "server", "--conf", features, "--max-servers", "2", ...suiteArguments];
  const command = [...options, "--", process.execPath, relay, port.toString()];
  const program = spawn(suite, command, { stdio: ["inherit", "pipe", "inherit"] });
  const closed = once(program, "close");
  const failed: string[] = [];
  for await (const line of createInterface(program.stdout)) {
    process.stdout.write(`${line}\n`);
    const name = /^FAILED: (.+):$/.exec(line)?.[1];
    if (name !== undefined) failed.push(name);
  }
  const [status] = await closed;
  return status !== 0 && failed.length === 0 ? [`the suite ended with status ${status}`] : failed;
}

/**
 * Whether the outcome of a case depends on a deadline. The server answers when the deadline is over, just as the
 * suite's client gives up. A client that gives up between the answer's headers and its body says that the body is no
 * JSON.
 */
function hasDeadline(name: string): boolean {
  return name.startsWith("Timeouts/") || name.startsWith("Deadline Propagation/");
}

function toRunOption(name: string): [string, string] {
  return ["--run", name];
}
