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

async function passes(suite: string, lane: LaneSetting, suiteArguments: readonly string[]): Promise<boolean> {
  process.stdout.write(`\nUnary lane ${lane}\n`);
  await using host = await openHost(lane);
  const options = ["--mode", "server", "--conf", features, "--max-servers", "2", ...suiteArguments];
  const command = [...options, "--", process.execPath, relay, host.port.toString()];
  const [status] = await once(spawn(suite, command, { stdio: "inherit" }), "close");
  return status === 0;
}
