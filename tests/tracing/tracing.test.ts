/** What a receiver of OpenTelemetry's traces gets to see of calls and of the transactions behind them. */
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { codeOf, grpcAgent, signingAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent, requestInstallation } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { type ReceivedSpan, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startTestServer } from "../support/server.ts";
import { waitForBlockedSessions, waitUntil } from "../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const { secret } = await tokenOf(database.db, "admin");
const authorized = { headers: { authorization: `Bearer ${secret}` } };
const receiver = await startOtlpReceiver();
afterAll(() => receiver[Symbol.asyncDispose]());
const sendingTo = (endpoint: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: "10" });
const server = await startTestServer(database.url, {
  ...sendingTo(`${receiver.endpoint}/collect/`),
  OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=a%20secret",
  OTEL_SERVICE_NAME: "bmaas-test",
  OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=lab,service.name=other",
});
afterAll(() => server.close());

/** A caller's own span, in which it makes a call, as the W3C trace context says it; or that nobody records it. */
function callerSpan(isSampled = true) {
  const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}` };
}

const ofTrace = (traceId: string) => (span: ReceivedSpan) => span.traceId === traceId;

describe("a call of an operator", () => {
  const transports = {
    grpc: createGrpcTransport({ baseUrl: server.adminUrl }),
    connectrpc: createConnectTransport({ baseUrl: server.adminUrl, httpVersion: "2" }),
  };

  test.each(Object.entries(transports))(
    "is a span of its caller's trace, with its transaction below, by %s",
    async (system, transport) => {
      const { traceId, spanId, traceparent } = callerSpan();
      const headers = { ...authorized.headers, traceparent };
      await createClient(MachineService, transport).createMachine({}, { headers });
      const call = await receiver.find("the call", (span) => span.traceId === traceId && span.kind === 2);
      expect(call).toMatchObject({
        name: "bmaas.admin.v1.MachineService/CreateMachine",
        parentSpanId: spanId,
        status: 0,
        attributes: { "rpc.system.name": system, "rpc.method": "bmaas.admin.v1.MachineService/CreateMachine" },
        resource: {
          "service.name": "bmaas-test",
          "deployment.environment.name": "lab",
          "service.version": expect.any(String),
          "telemetry.sdk.name": "opentelemetry",
        },
      });
      expect(call.attributes["rpc.status_code"]).toBe(system === "grpc" ? "OK" : undefined);
      const transaction = await receiver.find("the transaction", (span) => span.traceId === traceId && span.kind === 3);
      expect(transaction).toMatchObject({
        name: "transaction",
        parentSpanId: call.spanId,
        attributes: { "db.system.name": "postgresql" },
      });
      expect(transaction.durationMs).toBeGreaterThan(0);
      expect(transaction.durationMs).toBeLessThanOrEqual(call.durationMs);
    },
  );

  test("is a span also when it is refused, and an error only when that is the server's", async () => {
    const client = createClient(MachineService, transports.grpc);
    const [stranger, wrong] = [callerSpan(), callerSpan()];
    const refused = client.getMachine({ machineId: randomUUID() }, { headers: { traceparent: stranger.traceparent } });
    expect(await codeOf(refused)).toBe("Unauthenticated");
    const headers = { ...authorized.headers, traceparent: wrong.traceparent };
    expect(await codeOf(client.getMachine({ machineId: "none" }, { headers }))).toBe("InvalidArgument");
    for (const [{ traceId }, status] of [
      [stranger, "UNAUTHENTICATED"],
      [wrong, "INVALID_ARGUMENT"],
    ] as const) {
      const span = await receiver.find(status, ofTrace(traceId));
      expect(span).toMatchObject({ status: 0, attributes: { "rpc.status_code": status } });
      expect(span.attributes).not.toHaveProperty("error.type");
    }
  });

  test("of nobody's trace begins one, and one that its caller does not record is not recorded here either", async () => {
    const client = createClient(MachineService, transports.grpc);
    const unrecorded = callerSpan(false);
    const headers = { ...authorized.headers, traceparent: unrecorded.traceparent };
    await client.listMachines({}, { headers });
    await client.listMachines({ pageSize: 7 }, authorized);
    const isList = ({ name, parentSpanId }: ReceivedSpan) => name.endsWith("/ListMachines") && parentSpanId === "";
    await receiver.find("the list without a trace", isList);
    expect(receiver.spans.filter(ofTrace(unrecorded.traceId))).toEqual([]);
  });

  test("that streams is a span until its caller ends it", async () => {
    const { traceId, traceparent } = callerSpan();
    const ending = new AbortController();
    const headers = { ...authorized.headers, traceparent };
    const options = { headers, signal: ending.signal };
    const watch = createClient(MachineService, transports.grpc).watchMachines({}, options)[Symbol.asyncIterator]();
    await watch.next();
    expect(receiver.spans.filter(ofTrace(traceId))).toEqual([]);
    ending.abort();
    await watch.next().catch(() => {});
    const span = await receiver.find("the watch", ofTrace(traceId));
    expect(span).toMatchObject({ status: 0, attributes: { "rpc.status_code": "CANCELLED" } });
  });
});

describe.each(["on", "off"] as const)("a heartbeat with the unary lane %s", (lane) => {
  async function startServer() {
    return await startTestServer(database.url, { ...sendingTo(receiver.endpoint), BMAAS_UNARY_LANE: lane });
  }
  const heartbeat = "cloud.bmaas.server.api.AgentCallback/Heartbeat";
  const json = { "content-type": "application/json" };

  test("is a span, with its batch and its delivery below", async () => {
    await using agents = await startServer();
    const { machineId, key } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    const { traceId, spanId, traceparent } = callerSpan();
    const session = connectHttp2(agents.agentUrl, { ca: agents.ca, ...createClientCertificate(key) });
    const answer = await callHttp2(session, { ...json, traceparent }, JSON.stringify({ machineId }));
    session.destroy();
    expect(answer.status).toBe(200);
    const call = await receiver.find("the heartbeat", (span) => span.traceId === traceId && span.kind === 2);
    expect(call).toMatchObject({
      name: heartbeat,
      parentSpanId: spanId,
      attributes: { "rpc.system.name": "connectrpc" },
    });
    for (const name of ["write heartbeats", "record deliveries"]) {
      const batch = await receiver.find(name, (span) => span.traceId === traceId && span.name === name);
      expect(batch).toMatchObject({
        parentSpanId: call.spanId,
        kind: 3,
        attributes: { "db.system.name": "postgresql", "db.operation.batch.size": 1n },
        links: [],
      });
    }
  });

  test("looks its signer's key up below its span", async () => {
    await using agents = await startServer();
    const machine = await machineWithAgent(database.db);
    using agent = signingAgent(agents, machine, "connect-json");
    const known = receiver.spans.length;
    await agent.heartbeat({ machineId: machine.machineId });
    const isNew = (span: ReceivedSpan) => receiver.spans.indexOf(span) >= known;
    const lookUp = await receiver.find("the look-up", (span) => isNew(span) && span.name === "read public keys");
    const call = await receiver.find("its call", ({ spanId }) => spanId === lookUp.parentSpanId);
    expect(call.name).toBe(heartbeat);
  });

  test("that is refused before its handler is a span, too", async () => {
    await using agents = await startServer();
    using anonymous = grpcAgent(agents);
    const known = receiver.spans.length;
    expect(await codeOf(anonymous.heartbeat({ machineId: randomUUID() }))).toBe("Unauthenticated");
    const session = connectHttp2(agents.agentUrl, { ca: agents.ca });
    const { traceId, spanId, traceparent } = callerSpan();
    expect((await callHttp2(session, { ...json, traceparent }, Buffer.alloc(2 * 1024 * 1024))).status).toBe(429);
    session.destroy();
    const codes = [
      await receiver.find("the refused", (span) => receiver.spans.indexOf(span) >= known && span.name === heartbeat),
      await receiver.find("the too large", ofTrace(traceId)),
    ].map(({ attributes }) => attributes["rpc.status_code"]);
    expect(codes.toSorted()).toEqual(["UNAUTHENTICATED", "resource_exhausted"].toSorted());
    expect(receiver.spans.find(ofTrace(traceId))?.parentSpanId).toBe(spanId);
  });
});

test("a batch of several heartbeats is part of the first one, and linked to the others", async () => {
  const own = await createTestDatabase();
  await using agents = await startTestServer(own.url, sendingTo(receiver.endpoint));
  const token = await tokenOf(own.db, "viewer");
  const sessions = [];
  for (let count = 0; count < 6; count++) {
    const { machineId, key } = await machineWithAgent(own.db);
    const session = connectHttp2(agents.agentUrl, { ca: agents.ca, ...createClientCertificate(key) });
    await once(session, "connect");
    sessions.push({ session, body: JSON.stringify({ machineId }) });
  }
  let heldMs: number;
  let statuses: unknown[];
  let traceIds: string[];
  do {
    // Three batches are under way at once: they wait for what is held here, and all others come in the next batch.
    const holder = await own.db.$client.connect();
    await holder.query("begin");
    await holder.query("select from agent_started for update");
    const heldAtMs = performance.now();
    const calls = [];
    for (const [index, { session, body }] of sessions.entries()) {
      const caller = callerSpan();
      calls.push({ caller, answer: callHttp2(session, caller, body) });
      const blocked = index < 3 && waitForBlockedSessions(own.db.$client, index + 1);
      await Promise.race([blocked, ...calls.map(({ answer }) => answer)]);
    }
    const waiting = waitUntil("three heartbeats wait", async () => {
      const page = await fetch(`${agents.adminUrl}/metrics`, { headers: { authorization: `Bearer ${token.secret}` } });
      return (await page.text()).includes('bmaas_writer_queue_length{writer="heartbeats"} 3\n');
    });
    await Promise.race([waiting, ...calls.map(({ answer }) => answer)]);
    await holder.query("rollback");
    holder.release();
    heldMs = performance.now() - heldAtMs;
    statuses = (await Promise.all(calls.map(({ answer }) => answer))).map(({ status }) => status);
    traceIds = calls.slice(3).map(({ caller }) => caller.traceId);
    // A heartbeat waits for a row for a second. On a machine that needs longer, all this is done once more.
  } while (heldMs > 1_000 && statuses.includes(503));
  expect(statuses).toEqual([200, 200, 200, 200, 200, 200]);
  const batch = await receiver.find(
    "the common batch",
    ({ traceId, attributes }) => traceIds.includes(traceId) && attributes["db.operation.batch.size"] === 3n,
  );
  expect([batch.traceId, ...batch.links.map(({ traceId }) => traceId)].toSorted()).toEqual(traceIds.toSorted());
  for (const { session } of sessions) session.destroy();
  await agents.close();
  await own.close();
});

test("traces go to the path for traces below the endpoint, with the headers that it wants", () => {
  const ofThisServer = receiver.requests.filter(({ url }) => url === "/collect/v1/traces");
  expect(ofThisServer.length).toBeGreaterThan(0);
  for (const { headers } of ofThisServer) {
    expect(headers).toMatchObject({ "x-api-key": "a secret", "content-type": "application/x-protobuf" });
  }
});

test("a server that ends sends what it has recorded first", async () => {
  const ending = await startTestServer(database.url, sendingTo(receiver.endpoint));
  const { traceId, traceparent } = callerSpan();
  const transport = createConnectTransport({
    baseUrl: ending.adminUrl,
    httpVersion: "1.1",
    nodeOptions: { agent: false },
  });
  await createClient(MachineService, transport).listMachines({}, { headers: { ...authorized.headers, traceparent } });
  await ending.close();
  expect(receiver.spans.filter(ofTrace(traceId))).toHaveLength(1);
});

test("a receiver that is away disturbs no call, is logged once, and holds no server up", async () => {
  await using away = await startOtlpReceiver();
  const tracing = await startTestServer(database.url, sendingTo(away.endpoint));
  away.respond(400);
  const transport = createConnectTransport({ baseUrl: tracing.adminUrl, httpVersion: "2" });
  const client = createClient(MachineService, transport);
  for (let time = 0; time < 2; time++) {
    const known = away.requests.length;
    await client.listMachines({}, authorized);
    await waitUntil("it is tried", () => away.requests.length > known);
  }
  await waitUntil("it is logged", () =>
    tracing.logged.some(({ msg }) => String(msg).startsWith("the trace collector does not accept")),
  );
  away.respond(200);
  const { traceId, traceparent } = callerSpan();
  await client.listMachines({}, { headers: { ...authorized.headers, traceparent } });
  await away.find("a call after that", ofTrace(traceId));
  await waitUntil("that is logged", () =>
    tracing.logged.some(({ msg }) => msg === "the trace collector accepts traces again"),
  );
  expect(tracing.logged.filter(({ msg }) => String(msg).startsWith("the trace collector"))).toHaveLength(2);
  await away[Symbol.asyncDispose]();
  await client.listMachines({}, authorized);
  await tracing.close();
});
