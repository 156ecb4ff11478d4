/** Any worker shows the metrics of all of them together, and nothing that was ever counted is lost. */
import { once } from "node:events";
import http from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FleetService } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { provideConsole } from "../../tools/clone-console.ts";
import { codeOf, grpcAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent } from "../support/machine.ts";
import { parsePage, type Scrape } from "../support/metrics.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { findServed, listWorkers, replaceWorkers } from "../support/worker-processes.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

const start = (workers: number) =>
  startServerProcess({ DATABASE_URL: database.url, BMAAS_WORKERS: `${workers}`, BMAAS_METRICS_PUBLIC: "on" });

/** Reads the page on a connection of its own, so that the workers take turns. */
async function scrapeOnce({ adminUrl }: ServerProcess): Promise<Scrape> {
  const response = await fetch(`${adminUrl}/metrics`, { headers: { connection: "close" } });
  return parsePage(await response.text());
}

const heartbeats = (page: Scrape) => page.sum("bmaas_calls_total", { method: "Heartbeat", code: "ok" });
const listings = (page: Scrape) => page.sum("bmaas_calls_total", { method: "GetFleet", code: "ok" });

/** Waits until the calls are counted, which is when their answers are out, and then looks at several workers' pages. */
async function expectCounts(server: ServerProcess, expected: readonly [number, number]): Promise<void> {
  await waitUntil(`${expected} calls are counted`, async () => {
    const page = await scrapeOnce(server);
    return heartbeats(page) === expected[0] && listings(page) === expected[1];
  });
  for (let time = 0; time < 4; time++) {
    const page = await scrapeOnce(server);
    expect([heartbeats(page), listings(page)]).toEqual(expected);
    expect(page.sum("bmaas_call_duration_seconds_count", { method: "Heartbeat" })).toBe(expected[0]);
    expect(page.sum("bmaas_call_duration_seconds_bucket", { method: "Heartbeat", le: "+Inf" })).toBe(expected[0]);
  }
}

test("calls are added up over workers, over those that were replaced, and over one that was killed", {
  timeout: 180_000,
}, async () => {
  await using server = await start(2);
  const { secret } = await tokenOf(database.db, "viewer");
  const machine = await machineWithAgent(database.db);
  /** Each call on a connection of its own. */
  const makeCalls = async () => {
    for (let call = 0; call < 5; call++) {
      const agent = grpcAgent(server, machine.key);
      expect(await codeOf(agent.heartbeat({ machineId: machine.machineId }))).toBe("ok");
      agent[Symbol.dispose]();
      await adminClient(FleetService, server.adminUrl, secret).getFleet({});
    }
  };

  await makeCalls();
  await expectCounts(server, [5, 5]);
  await replaceWorkers(server);
  await expectCounts(server, [5, 5]);
  await makeCalls();
  await expectCounts(server, [10, 10]);

  const [victim = 0] = await listWorkers(server);
  const served = findServed(server).length;
  process.kill(victim, "SIGKILL");
  await waitUntil("it is replaced", () => findServed(server).length > served);
  await expectCounts(server, [10, 10]);
  await makeCalls();
  await expectCounts(server, [15, 15]);
});

test("what all see alike stands there once, and what one process has is added up or is the worst of them", async () => {
  await machineWithAgent(database.db);
  await using server = await start(3);
  const page = await scrapeOnce(server);
  const [{ count } = { count: 0 }] = (await database.db.execute<{ count: number }>("select count(*)::int from machine"))
    .rows;
  expect(count).toBeGreaterThan(0);
  expect(page.sum("bmaas_fleet_machines")).toBe(count);
  expect(page.sum("bmaas_build_info")).toBe(1);
  expect([page.find("bmaas_ready"), page.find("bmaas_database_up"), page.find("bmaas_workers")]).toEqual([1, 1, 3]);
  // Four and five connections are what one process may have.
  expect(page.find("bmaas_database_max_connections", { pool: "operators" })).toBe(12);
  expect(page.find("bmaas_database_max_connections", { pool: "heartbeats" })).toBe(15);
  const [min, max] = ["min", "max"].map((of) => page.find(`nodejs_eventloop_lag_${of}_seconds`) ?? Number.NaN);
  expect(min).toBeLessThanOrEqual(max ?? Number.NaN);
  expect(page.find("process_start_time_seconds")).toBeLessThanOrEqual(Date.now() / 1000);
  expect(page.find("process_start_time_seconds")).toBeGreaterThan(Date.now() / 1000 - 600);
});

test("each worker serves the console", async () => {
  await provideConsole();
  await using server = await startServerProcess({
    DATABASE_URL: database.url,
    BMAAS_WORKERS: "2",
    BMAAS_CONSOLE: "on",
  });
  const pages: unknown[] = [];
  for (let time = 0; time < 6; time++) {
    const headers = { connection: "close", accept: "text/html" };
    const page = await fetch(server.adminUrl, { headers });
    const facts = await fetch(`${server.adminUrl}/console.json`, { headers });
    pages.push([page.status, page.headers.get("content-security-policy") === null, await facts.json()]);
  }
  expect(new Set(pages.map((each) => JSON.stringify(each))).size).toBe(1);
  expect(pages[0]).toEqual([200, false, { version: "0.1.0", build: expect.any(String), oidc: null }]);
});

test("a worker that hangs is taken at its last word", async () => {
  await using server = await start(2);
  // Each of them has said something of itself then.
  for (let time = 0; time < 4; time++) expect((await scrapeOnce(server)).find("bmaas_workers")).toBe(2);
  const [stuck = 0] = await listWorkers(server);
  process.kill(stuck, "SIGSTOP");
  try {
    // Of the connections some go to the one that hangs.
    const page = await Promise.any(Array.from({ length: 4 }, () => scrapeOnce(server)));
    expect(page.find("bmaas_workers")).toBe(2);
  } finally {
    process.kill(stuck, "SIGCONT");
  }
});

test("there is no page rather than a wrong one while the primary process hangs", async () => {
  await using server = await start(2);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const statusOf = async (path: string) => {
    const [answer] = (await once(http.get(`${server.adminUrl}${path}`, { agent }), "response")) as [
      http.IncomingMessage,
    ];
    await once(answer.resume(), "end");
    return answer.statusCode;
  };
  expect(await statusOf("/metrics")).toBe(200);
  process.kill(server.pid, "SIGSTOP");
  try {
    expect(await statusOf("/metrics")).toBe(503);
    expect(await statusOf("/healthz")).toBe(200);
  } finally {
    process.kill(server.pid, "SIGCONT");
  }
  expect(await statusOf("/metrics")).toBe(200);
  agent.destroy();
});
