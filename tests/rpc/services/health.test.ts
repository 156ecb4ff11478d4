/** gRPC health checking on the operators' listener, by the protocol and over a database that goes away. */
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { createHealthMonitor } from "../../../src/rpc/services/health.ts";
import { codeOf } from "../../support/agents.ts";
import { createTestDatabase } from "../../support/database.ts";
import { startServerWithDatabase, startTestServer } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();

/** A client without a token, over a connection of its own. */
function healthOf(baseUrl: string) {
  return createClient(Health, createGrpcTransport({ baseUrl }));
}

/** Reads on until the status comes; fails when the stream ends before. */
async function readUntil(stream: AsyncIterator<HealthCheckResponse>, wanted: ServingStatus): Promise<void> {
  for (;;) {
    const { done, value } = await stream.next();
    if (done) throw new Error("the watch ended");
    if (value.status === wanted) return;
  }
}

const names = ["", "bmaas.admin.v1.MachineService", "grpc.health.v1.Health"];

test.each(names)("says without a token that the service %j serves", async (service) => {
  expect((await healthOf(server.adminUrl).check({ service })).status).toBe(ServingStatus.SERVING);
});

test("says of an unknown service that it is not found, and to who watches it that it is unknown", async () => {
  const client = healthOf(server.adminUrl);
  const service = "cloud.bmaas.server.api.AgentCallback";
  expect(await codeOf(client.check({ service }))).toBe("NotFound");
  const ending = new AbortController();
  const watch = client.watch({ service }, { signal: ending.signal })[Symbol.asyncIterator]();
  expect((await watch.next()).value).toMatchObject({ status: ServingStatus.SERVICE_UNKNOWN });
  ending.abort();
});

test.each([
  ["application/json", (size: number) => Buffer.from(JSON.stringify({ service: "", none: "x".repeat(size) }))],
  // A field of number 0 cannot be decoded.
  ["application/proto", (size: number) => Buffer.alloc(size)],
])("decodes up to 4 KiB from those who need no token, as %s", async (contentType, body) => {
  const check = async (size: number) => {
    const options = { method: "POST", headers: { "content-type": contentType }, body: body(size) };
    const answer = await fetch(new URL("/grpc.health.v1.Health/Check", server.adminUrl), options);
    return ((await answer.json()) as { code: string }).code;
  };
  expect([await check(4_000), await check(5_000), await check(1_000_000)]).toEqual([
    "invalid_argument",
    "resource_exhausted",
    "resource_exhausted",
  ]);
});

test("is not offered to agents", async () => {
  const agents = createGrpcTransport({ baseUrl: server.agentUrl, nodeOptions: { ca: server.ca } });
  expect(await codeOf(createClient(Health, agents).check({}))).toBe("Unimplemented");
});

test("tells who watches when the database goes and when it is back, as /readyz does", async () => {
  await using proxy = await startTcpProxy(database.url);
  await using behind = await startTestServer(proxy.url);
  const client = healthOf(behind.adminUrl);
  const ending = new AbortController();
  const watches = names.map((service) => client.watch({ service }, { signal: ending.signal })[Symbol.asyncIterator]());
  for (const watch of watches) expect((await watch.next()).value).toMatchObject({ status: ServingStatus.SERVING });
  await proxy.setMode("refuse");
  for (const watch of watches) await readUntil(watch, ServingStatus.NOT_SERVING);
  expect((await client.check({})).status).toBe(ServingStatus.NOT_SERVING);
  expect((await fetch(`${behind.adminUrl}/readyz`)).status).toBe(503);
  await proxy.setMode("pass");
  for (const watch of watches) await readUntil(watch, ServingStatus.SERVING);
  ending.abort();
});

test("tells who watches that the server shuts down, and does not hold it up", async () => {
  const other = await createTestDatabase();
  const closing = await startTestServer(other.url);
  const watch = healthOf(closing.adminUrl).watch({})[Symbol.asyncIterator]();
  expect((await watch.next()).value).toMatchObject({ status: ServingStatus.SERVING });
  const closed = closing.close();
  expect((await watch.next()).value).toMatchObject({ status: ServingStatus.NOT_SERVING });
  const end = watch.next();
  await expect(end).rejects.toThrow(ConnectError);
  await expect(end).rejects.toMatchObject({ code: Code.Unavailable });
  await closed;
  await other.close();
});

describe("one monitor", () => {
  const limits = { pollMs: 1, signOfLifeMs: 60_000, maxOpen: 3, maxOpenPerAddress: 3 };

  test("looks once at a time for all who watch, and not at all when nobody does", async () => {
    let looks = 0;
    let underWay = 0;
    let mostUnderWay = 0;
    const monitor = createHealthMonitor(async () => {
      looks += 1;
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      await new Promise(setImmediate);
      underWay -= 1;
      return undefined;
    }, limits);
    const ending = new AbortController();
    const watches = Array.from({ length: 3 }, () => monitor.watch(true, ending.signal, "192.0.2.1"));
    for (const watch of watches) expect((await watch.next()).value).toBe(ServingStatus.SERVING);
    await Promise.all([monitor.check(), monitor.check()]);
    const afterThree = looks;
    await waitUntil("it looks again", () => looks > afterThree);
    expect(mostUnderWay).toBe(1);
    const rests = watches.map((watch) => watch.next());
    ending.abort();
    for (const rest of rests) expect((await rest).done).toBe(true);
    expect(monitor.watchers).toBe(0);
    const afterAll = looks;
    await delay(50);
    expect(looks).toBeLessThanOrEqual(afterAll + 1);
  });

  test("takes no more watchers than it can hold, and as many again when they leave", async () => {
    const monitor = createHealthMonitor(async () => undefined, limits);
    const ending = new AbortController();
    const watches = Array.from({ length: 3 }, () => monitor.watch(true, ending.signal, "192.0.2.1"));
    for (const watch of watches) await watch.next();
    const oneMore = () => monitor.watch(true, ending.signal, "192.0.2.1").next();
    await expect(oneMore()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await watches[0]?.return(undefined);
    expect((await oneMore()).value).toBe(ServingStatus.SERVING);
    ending.abort();
    monitor.close();
  });

  test("repeats what it said before a stream counts as idle", async () => {
    const monitor = createHealthMonitor(async () => undefined, { ...limits, signOfLifeMs: 5 });
    const ending = new AbortController();
    const watch = monitor.watch(true, ending.signal, "192.0.2.1");
    for (let time = 0; time < 3; time++) expect((await watch.next()).value).toBe(ServingStatus.SERVING);
    ending.abort();
    await watch.return(undefined);
  });
});
