/** `bmaas serve --workers` as operators meet it: on a terminal, and with a configuration that is wrong. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { mainFile, makeFolder, runProgram, startProgram } from "../support/program.ts";
import { findSteadyAddress } from "../support/steady-port.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";
import { listWorkers, waitUntilGone } from "../support/worker-processes.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

const freePorts = { BMAAS_AGENT_LISTEN: "127.0.0.1:0", BMAAS_ADMIN_LISTEN: "127.0.0.1:0" };

describe.skipIf(!spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux"))(
  "on a terminal (skipped without script of util-linux)",
  () => {
    /** Starts a server with two workers on a terminal of its own. */
    async function startOnTerminal() {
      const environment = { DATABASE_URL: database.url, ...freePorts, BMAAS_SHUTDOWN_DELAY: "0", SHELL: "/bin/sh" };
      const command = `exec '${process.execPath}' '${mainFile}' serve --workers 2`;
      const terminal = spawn("script", ["-qec", command, "/dev/null"], {
        cwd: await makeFolder(),
        env: { ...process.env, ...environment },
      });
      const shown = { text: "" };
      terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
        shown.text += text;
      });
      const exited = once(terminal, "exit");
      while (!shown.text.includes("Ctrl-C stops it.") && terminal.exitCode === null) {
        await once(terminal.stdout, "data");
      }
      const pid = Number(/kill -HUP (\d+) replaces/.exec(shown.text)?.[1]);
      const workers = await listWorkers({ pid });
      expect(workers).toHaveLength(2);
      return { terminal, shown, exited, pid, workers };
    }

    test("it says that it has workers and how to replace them, does so, and Ctrl-C ends all of them with 0", {
      timeout: 180_000,
    }, async () => {
      const { terminal, shown, exited, pid, workers } = await startOnTerminal();
      expect(shown.text).toMatch(/workers +2 processes; kill -HUP \d+ replaces them one by one\r\n/);
      expect(shown.text.match(/bmaas serves/g)).toHaveLength(1);
      expect(shown.text).not.toMatch(/^\{/m);
      process.kill(pid, "SIGHUP");
      await waitUntil("all workers are replaced", () => shown.text.includes("all workers are replaced"), 100_000);
      const successors = await listWorkers({ pid });
      expect(successors.filter((worker) => workers.includes(worker))).toEqual([]);
      terminal.stdin.write("\x03");
      expect((await exited)[0]).toBe(0);
      await waitUntilGone([pid, ...successors]);
    });

    test("it ends with the terminal", async () => {
      const { terminal, exited, pid, workers } = await startOnTerminal();
      terminal.kill("SIGKILL");
      await exited;
      await waitUntilGone([pid, ...workers]);
    });
  },
);

test("what is wrong with the configuration is said once, with status 2, before any worker begins", async () => {
  const newer = await createTestDatabase();
  await newer.db.execute(
    sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('of a later version', 4102444800000)`,
  );
  const wrong: [string[], Record<string, string>, RegExp][] = [
    [["--workers", "0"], {}, /^bmaas: --workers: "0" is not a whole number of processes from 1 to 64\n$/],
    [[], { BMAAS_WORKERS: "two" }, /^bmaas: BMAAS_WORKERS: "two" is not a whole number.*\n$/],
    [
      ["--workers", "3"],
      { DATABASE_URL: newer.url },
      /^bmaas: DATABASE_URL: .*1 migration that this bmaas does not.*\n$/,
    ],
    [["--workers", "3", "--log-level", "loud"], {}, /^bmaas: --log-level: "loud" is not one of.*\n$/],
  ];
  for (const [args, environment, message] of wrong) {
    const result = await runProgram(["serve", ...args], {
      directory: await makeFolder(),
      environment: { DATABASE_URL: database.url, ...freePorts, ...environment },
    });
    expect(result, args.join(" ")).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(message) });
  }
  await newer.close();
});

test("what keeps the workers from serving is said once, and ends the server", async () => {
  await using proxy = await startTcpProxy(database.url);
  await proxy.setMode("refuse");
  const address = await findSteadyAddress();
  const { output, exited } = startProgram(["serve", "--workers", "3"], {
    directory: await makeFolder(),
    environment: { ...freePorts, DATABASE_URL: proxy.url, BMAAS_ADMIN_LISTEN: address },
  });
  // All that can be tried beforehand was sound, and is not any more.
  await waitUntil("it waits for the database", () => output.stdout.includes("the database is unreachable; retrying"));
  await using _taken = await takePort(address);
  await proxy.setMode("pass");
  expect(await exited).toBe(1);
  expect(output.stderr).toMatch(/^bmaas: .*EADDRINUSE.*\n$/);
});

async function takePort(address: string): Promise<AsyncDisposable> {
  const [host, port] = address.split(":");
  const server = createServer().listen(Number(port), host);
  await once(server, "listening");
  return { [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))) };
}
