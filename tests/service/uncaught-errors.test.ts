/**
 * An error that nobody caught is told, counted, and ends the process that serves in good order; a server of several
 * processes goes on.
 */
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { scrape } from "../support/metrics.ts";
import { openRaw } from "../support/raw-connection.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { findServed, listWorkers, startWithWorkers } from "../support/worker-processes.ts";

const failing = {
  NODE_OPTIONS: `--import ${fileURLToPath(new URL("../support/fail-on-signal.ts", import.meta.url))}`,
  BMAAS_METRICS_PUBLIC: "on",
};

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.close());

/** Lines about errors that nobody caught. */
function findFatal({ logged }: Pick<ServerProcess, "logged">) {
  return logged.filter(({ level }) => level === 60);
}

test.each([
  ["thrown by a callback", "SIGUSR2", "thrown for a test"],
  ["of a promise that nobody waits for", "SIGWINCH", "rejected for a test"],
] as const)(
  "an error %s ends the process in good order, and with a status that says so",
  async (_how, signal, message) => {
    const environment = { DATABASE_URL: database.url, BMAAS_SHUTDOWN_DELAY: "60", ...failing };
    const server = await startServerProcess(environment);
    const health = createClient(Health, createGrpcTransport({ baseUrl: server.adminUrl }));
    const watched: ServingStatus[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({})) watched.push(status);
    })().catch(() => {});
    using idle = await openRaw({ url: server.adminUrl });
    await idle.send("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    await idle.until(/ready/);
    await waitUntil("the watch has begun", () => watched.length === 1);

    server.kill(signal);
    await watching;
    expect(watched).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    expect(await server.ended).toBe(1);
    expect(findFatal(server)).toEqual([
      expect.objectContaining({
        msg: "uncaught error: this is a bug in bmaas",
        err: expect.objectContaining({ message, stack: expect.stringContaining("fail-on-signal.ts") }),
      }),
    ]);
    expect(server.output.stderr).toBe("");
  },
);

test("a worker that ends so is replaced, the others go on, and the error is counted for good", async () => {
  await using server = await startWithWorkers(database, failing);
  const [worker = 0] = await listWorkers(server);
  process.kill(worker, "SIGUSR2");
  await waitUntil("another one serves", () => findServed(server).length === 3);
  await waitUntil("the first one has ended", async () => !(await listWorkers(server)).includes(worker));
  expect(findFatal(server)).toMatchObject([{ err: { message: "thrown for a test" } }]);
  expect(server.logged).toContainEqual(expect.objectContaining({ level: 50, pid: worker, reason: "uncaught error" }));
  const page = await scrape(server.adminUrl);
  expect(page.find("bmaas_uncaught_errors_total", { origin: "exception" })).toBe(1);
  expect(page.find("bmaas_uncaught_errors_total", { origin: "rejection" })).toBe(0);
  expect(page.find("bmaas_workers")).toBe(2);
});

test("the primary process of several goes on after one of its own", async () => {
  const server = await startWithWorkers(database, failing);
  const workers = await listWorkers(server);
  for (const signal of ["SIGUSR2", "SIGWINCH"] as const) server.kill(signal);
  await waitUntil("both are logged", () => findFatal(server).length === 2);
  const page = await scrape(server.adminUrl);
  expect(page.sum("bmaas_uncaught_errors_total")).toBe(2);
  expect(await listWorkers(server)).toEqual(workers);
  expect(await server.stop()).toBe(0);
});
