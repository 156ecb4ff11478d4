/** Every call is counted once, on both listeners, in every protocol, and whichever way it ends. */
import { randomUUID } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { codeOf, grpcAgent, heartbeatPath, signingAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { bareMachine, machineWithAgent } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../support/server.ts";
import { waitForBlockedSessions, waitUntil } from "../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "viewer");

type Labels = Record<"service" | "method" | "protocol" | "code", string>;

/** Runs `calls` and expects that exactly what `counted` says was counted meanwhile, each so many times. */
async function expectCounted(
  calls: () => Promise<unknown>,
  counted: readonly (readonly [Labels, number])[],
  { adminUrl, token = secret }: { adminUrl: string; token?: string } = server,
): Promise<void> {
  const before = await scrape(adminUrl, token);
  await calls();
  const total = counted.reduce((sum, [, times]) => sum + times, 0);
  const after = await waitUntil("the calls are counted", async () => {
    const page = await scrape(adminUrl, token);
    return page.sum("bmaas_calls_total") - before.sum("bmaas_calls_total") >= total && page;
  });
  for (const [labels, times] of counted) {
    const grown = after.sum("bmaas_calls_total", labels) - before.sum("bmaas_calls_total", labels);
    expect([labels, grown]).toEqual([labels, times]);
  }
  expect(after.sum("bmaas_calls_total") - before.sum("bmaas_calls_total")).toBe(total);
}

const admin = (protocol: string, code: string, method = "GetMachine"): Labels => ({
  service: "bmaas.admin.v1.MachineService",
  method,
  protocol,
  code,
});
const heartbeat = (protocol: string, code: string): Labels => ({
  service: "cloud.bmaas.server.api.AgentCallback",
  method: "Heartbeat",
  protocol,
  code,
});
const unknown = (code: string): Labels => ({ service: "unknown", method: "unknown", protocol: "unknown", code });

describe("the operators' listener", () => {
  const transports = {
    connect: createConnectTransport({ baseUrl: server.adminUrl, httpVersion: "2" }),
    grpc: createGrpcTransport({ baseUrl: server.adminUrl }),
    "grpc-web": createGrpcWebTransport({ baseUrl: server.adminUrl, httpVersion: "2" }),
  };

  test.each(Object.entries(transports))("counts calls by %s, with their codes", async (protocol, transport) => {
    const client = createClient(MachineService, transport);
    const machineId = await bareMachine(database.db);
    const headers = { authorization: `Bearer ${secret}` };
    await expectCounted(async () => {
      await client.getMachine({ machineId }, { headers });
      await client.getMachine({ machineId }, { headers });
      expect(await codeOf(client.getMachine({ machineId: randomUUID() }, { headers }))).toBe("NotFound");
      expect(await codeOf(client.getMachine({ machineId: "none" }, { headers }))).toBe("InvalidArgument");
      expect(await codeOf(client.getMachine({ machineId }))).toBe("Unauthenticated");
      expect(await codeOf(client.deleteMachine({ machineId }, { headers }))).toBe("PermissionDenied");
    }, [
      [admin(protocol, "ok"), 2],
      [admin(protocol, "not_found"), 1],
      [admin(protocol, "invalid_argument"), 1],
      [admin(protocol, "unauthenticated"), 1],
      [admin(protocol, "permission_denied", "DeleteMachine"), 1],
    ]);
  });

  test("counts a stream once it ends, and leaves it out of the histogram", async () => {
    const client = createClient(Health, transports.grpc);
    const labels = { service: "grpc.health.v1.Health", method: "Watch", protocol: "grpc", code: "canceled" };
    await expectCounted(async () => {
      const ending = new AbortController();
      const watch = client.watch({}, { signal: ending.signal })[Symbol.asyncIterator]();
      await watch.next();
      ending.abort();
      await watch.next().catch(() => {});
    }, [[labels, 1]]);
    const page = await scrape(server.adminUrl, secret);
    expect(page.find("bmaas_call_duration_seconds_count", { method: "Watch" })).toBeUndefined();
  });

  test("shows how many watch machines", async () => {
    const ending = new AbortController();
    const options = { headers: { authorization: `Bearer ${secret}` }, signal: ending.signal };
    const watch = createClient(MachineService, transports.grpc).watchMachines({}, options)[Symbol.asyncIterator]();
    await watch.next();
    expect((await scrape(server.adminUrl, secret)).find("bmaas_watch_subscribers")).toBe(1);
    ending.abort();
    await watch.next().catch(() => {});
    await waitUntil("nobody watches", async () => {
      return (await scrape(server.adminUrl, secret)).find("bmaas_watch_subscribers") === 0;
    });
  });

  test("counts what it does not serve under one label", async () => {
    const post = async (path: string, type: string, body = "{}") => {
      const response = await fetch(server.adminUrl + path, { method: "POST", headers: { "content-type": type }, body });
      await response.text();
    };
    await expectCounted(async () => {
      for (let time = 0; time < 3; time++) await post(`/made.up.Service/Method${randomUUID()}`, "application/json");
      await post("/bmaas.admin.v1.MachineService/GetMachine", "text/plain");
      await post("/bmaas.admin.v1.MachineService/WatchMachines", "application/json");
      await (await fetch(`${server.adminUrl}/bmaas.admin.v1.MachineService/DeleteMachine`)).text();
    }, [
      [unknown("unimplemented"), 5],
      [unknown("invalid_argument"), 1],
    ]);
  });

  test("measures how long unary calls take", async () => {
    const labels = { service: "bmaas.admin.v1.MachineService", method: "ListMachines", protocol: "connect" };
    await adminClient(MachineService, server.adminUrl, secret).listMachines({});
    const page = await waitUntil("the call is measured", async () => {
      const found = await scrape(server.adminUrl, secret);
      return found.find("bmaas_call_duration_seconds_count", labels) === 1 && found;
    });
    expect(page.find("bmaas_call_duration_seconds_bucket", { ...labels, le: "+Inf" })).toBe(1);
    expect(page.find("bmaas_call_duration_seconds_sum", labels)).toBeGreaterThan(0);
  });
});

describe.each(["on", "off"] as const)("the agents' listener with the unary lane %s", (lane) => {
  async function startListener(): Promise<TestServer> {
    return await startTestServer(database.url, { BMAAS_UNARY_LANE: lane });
  }

  test("counts heartbeats by each protocol, and those that are refused before their handler", async () => {
    await using agents = await startListener();
    const machine = await machineWithAgent(database.db);
    const { machineId, key } = machine;
    using certified = grpcAgent(agents, key);
    using anonymous = grpcAgent(agents);
    using web = signingAgent(agents, machine, "grpc-web");
    using json = signingAgent(agents, machine, "connect-json");
    await expectCounted(
      async () => {
        await certified.heartbeat({ machineId });
        expect(await codeOf(certified.heartbeat({ machineId: randomUUID() }))).toBe("Unauthenticated");
        expect(await codeOf(certified.heartbeat({ machineId: "none" }))).toBe("InvalidArgument");
        expect(await codeOf(anonymous.heartbeat({ machineId }))).toBe("Unauthenticated");
        await web.heartbeat({ machineId });
        await json.heartbeat({ machineId });
        await json.heartbeat({ machineId });
        const session = connectHttp2(agents.agentUrl, { ca: agents.ca });
        const tooLarge = await callHttp2(session, {}, Buffer.alloc(2 * 1024 * 1024));
        expect(tooLarge.status).toBe(429);
        session.destroy();
      },
      [
        [heartbeat("grpc", "ok"), 1],
        [heartbeat("grpc", "unauthenticated"), 2],
        [heartbeat("grpc", "invalid_argument"), 1],
        [heartbeat("grpc-web", "ok"), 1],
        [heartbeat("connect", "ok"), 2],
        [heartbeat("connect", "resource_exhausted"), 1],
      ],
      agents,
    );
  });

  test("counts what it does not serve under one label", async () => {
    await using agents = await startListener();
    await expectCounted(
      async () => {
        const session = connectHttp2(agents.agentUrl, { ca: agents.ca });
        await callHttp2(session, { ":path": "/bmaas.admin.v1.MachineService/GetMachine" }, "{}");
        await callHttp2(session, { ":path": "/grpc.health.v1.Health/Check", "content-type": "application/grpc" });
        await callHttp2(session, { ":path": heartbeatPath, "content-type": "text/html" }, "{}");
        session.destroy();
      },
      [
        [unknown("unimplemented"), 2],
        [unknown("invalid_argument"), 1],
      ],
      agents,
    );
  });

  test("counts a caller that leaves before its answer as canceled", async () => {
    const other = await createTestDatabase();
    await using agents = await startTestServer(other.url, { BMAAS_UNARY_LANE: lane });
    const { machineId, key } = await machineWithAgent(other.db);
    const { secret: token } = await tokenOf(other.db, "viewer");
    // Its row is held, so that the heartbeat cannot be answered.
    const holder = await other.db.$client.connect();
    await holder.query("begin");
    await holder.query("select from agent_started for update");
    await expectCounted(
      async () => {
        const session = connectHttp2(agents.agentUrl, { ca: agents.ca, ...createClientCertificate(key) });
        const answer = callHttp2(session, {}, JSON.stringify({ machineId }));
        await waitForBlockedSessions(other.db.$client, 1);
        session.destroy();
        expect((await answer).status).toBeUndefined();
      },
      [[heartbeat("connect", "canceled"), 1]],
      { adminUrl: agents.adminUrl, token },
    );
    await holder.query("rollback");
    holder.release();
    await agents.close();
    await other.close();
  });
});
