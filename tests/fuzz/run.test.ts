/** The fuzzer as a process of its own, on servers with faults that are known. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { mainFile } from "../support/program.ts";

const run = fileURLToPath(new URL("../../fuzz/run.ts", import.meta.url));
const faultyServer = new URL("faulty-server-main.ts", import.meta.url).href;
const http1 = ["--only", "HTTP/1.1 requests"];
/** Connections that inputs hold end after minutes, which tests/fuzz/process-watch.test.ts looks at. */
const unsettled = ["--settle", "0"];
/** Finds in a report the arguments by which the first fault comes again. */
const repeatPattern = /repeat it: npm run fuzz -- (--seed \d+ --from \d+ --inputs \d+ --times \d+)/;

/** A program that serves with such faults. */
async function plant(faults: string): Promise<string> {
  const program = join(await mkdtemp(join(inject("testFolder"), "faulty-")), "main.mjs");
  await writeFile(program, `process.env.PLANTED = "${faults}";\nawait import("${faultyServer}");\n`);
  return program;
}

function startFuzzer(...args: string[]): { child: ChildProcess; output: { stdout: string; stderr: string } } {
  const { serverUrl } = inject("testDatabases");
  const child = spawn(process.execPath, [run, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, TMPDIR: inject("testFolder"), TEST_DATABASE_URL: serverUrl },
  });
  onTestFinished(() => void child.kill("SIGTERM"));
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return { child, output };
}

async function fuzz(...args: string[]): Promise<{ status: number; report: string }> {
  const { child, output } = startFuzzer(...args);
  const [status] = await once(child, "close");
  return { status, report: output.stdout + output.stderr };
}

test("an input that ends the process is found, and does it again when it is repeated as the report says", async () => {
  const program = await plant("end");
  const { status, report } = await fuzz("--seed", "1", "--inputs", "2000", "--program", program);
  expect(report).toContain("a server ended: status 7");
  expect(report).toMatch(/input \d+: .*\/healthz/);
  expect(status).toBe(1);
  const [, again = ""] = repeatPattern.exec(report) ?? [];
  const repeated = await fuzz(...again.split(" "), "--program", program);
  expect(repeated.report).toContain("a server ended: status 7");
}, 900_000);

test("cut connections, slow answers, growing memory and a loud log are faults", async () => {
  const program = await plant("cut block leak shout");
  const bounds = ["--inputs", "200", "--max-p99", "15", "--keep-going"];
  const { status, report } = await fuzz("--seed", "1", ...bounds, ...unsettled, ...http1, "--program", program);
  expect(report).toContain("whole requests were answered over HTTP/1.1, then the connection was cut");
  expect(report).toContain("good agents waited");
  expect(report).toContain("good operators waited");
  expect(report).toContain("memory grew");
  expect(report).toContain("the log is loud");
  expect(status).toBe(1);
}, 900_000);

test("Ctrl-C ends the inputs, and the report follows", async () => {
  const { child, output } = startFuzzer("--seconds", "600", ...unsettled, ...http1, "--program", mainFile);
  await expect.poll(() => output.stderr, { timeout: 120_000 }).toMatch(/[1-9]\d* inputs in/);
  child.kill("SIGINT");
  const [status] = await once(child, "close");
  expect(output.stdout).toMatch(/^no fault; seed \d+, [1-9]\d* inputs in/);
  expect(output.stdout).toContain("answers to good callers");
  expect(status).toBe(0);
}, 400_000);

test("servers end with a fuzzer that is killed", async () => {
  const { child, output } = startFuzzer("--seconds", "600", "--program", mainFile);
  await expect.poll(() => output.stderr, { timeout: 120_000 }).toContain("the servers are processes");
  const pids = /processes (\d+) and (\d+)/.exec(output.stderr)?.slice(1).map(Number) ?? [];
  expect(pids.filter(isAlive)).toHaveLength(2);
  child.kill("SIGKILL");
  await expect.poll(() => pids.filter(isAlive)).toEqual([]);
  await dropDatabaseOf(child);
}, 180_000);

/** Removes what a fuzzer that was killed could not. */
async function dropDatabaseOf({ pid }: ChildProcess): Promise<void> {
  const client = new pg.Client({ connectionString: inject("testDatabases").serverUrl });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>("select datname from pg_database where datname like $1", [
    `bmaas\\_fuzz\\_${pid}\\_%`,
  ]);
  for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`);
  await client.end();
  expect(rows).toHaveLength(1);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
