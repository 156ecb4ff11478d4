/** Request ids, and the one line that each call of an operator leaves in the log. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { GetMachineRequestSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineWithAgent } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { openRaw } from "../../support/raw-connection.ts";
import { type LogLine, startServerWithDatabase, startTestServer } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const authorization = `Bearer ${viewer.secret}`;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const options = { baseUrl: server.adminUrl, httpVersion: "1.1", nodeOptions: { agent: false } } as const;
const transports: [string, Transport][] = [
  ["connect", createConnectTransport(options)],
  ["grpc-web", createGrpcWebTransport(options)],
  ["grpc", createGrpcTransport({ baseUrl: server.adminUrl, idleConnectionTimeoutMs: 100 })],
];

async function findLine(requestId: string, msg = "call", logged: LogLine[] = server.logged): Promise<LogLine> {
  return await waitUntil(`the line of ${requestId}`, () =>
    logged.find((line) => line.requestId === requestId && line.msg === msg),
  );
}

function post(path: string, body: string, headers: Record<string, string> = {}) {
  const all = { "content-type": "application/json", authorization, ...headers };
  return fetch(server.adminUrl + path, { method: "POST", headers: all, body });
}

const getMachine = "/bmaas.admin.v1.MachineService/GetMachine";

describe.each(transports)("over %s", (protocol, transport) => {
  const machines = createClient(MachineService, transport);

  test("a call that succeeds leaves its line, and answers with its request id", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    let answered = "";
    const onHeader = (headers: Headers) => {
      answered = headers.get("x-request-id") ?? "";
    };
    await machines.getMachine({ machineId }, { headers: { authorization }, onHeader });
    expect(answered).toMatch(uuid);
    const line = await findLine(answered);
    expect(line).toEqual({
      level: 30,
      time: expect.any(Number),
      msg: "call",
      method: "bmaas.admin.v1.MachineService/GetMachine",
      protocol,
      requestId: answered,
      code: "ok",
      durationMs: expect.any(Number),
      actor: `token:${viewer.name}`,
      address: "127.0.0.1",
    });
    const text = JSON.stringify(server.logged);
    for (const secret of [machineId, viewer.secret.slice(-43), Buffer.from(key.publicKey).toString("hex")]) {
      expect(text).not.toContain(secret);
    }
  });

  test.each([
    ["not_found", { machineId: crypto.randomUUID() }, { authorization }],
    ["invalid_argument", { machineId: "4711" }, { authorization }],
    ["unauthenticated", { machineId: crypto.randomUUID() }, {}],
  ])(
    "a call that ends with %s keeps the caller's request id, in the answer and in the log",
    async (code, request, headers) => {
      const requestId = `req:${crypto.randomUUID()}`;
      const call = machines.getMachine(request, { headers: { ...headers, "x-request-id": requestId } });
      const error = await call.then(
        () => undefined,
        (caught: unknown) => ConnectError.from(caught),
      );
      expect(error?.metadata.get("x-request-id")).toBe(requestId);
      expect(await findLine(requestId)).toMatchObject({ code, protocol });
    },
  );

  test("a stream leaves a line at debug when it starts, and its line when its caller leaves", async () => {
    const requestId = crypto.randomUUID();
    const left = new AbortController();
    const watching = (async () => {
      const headers = { authorization, "x-request-id": requestId };
      for await (const _ of machines.watchMachines({}, { headers, signal: left.signal })) left.abort();
    })().catch(() => {});
    const actor = `token:${viewer.name}`;
    expect(await findLine(requestId, "call started")).toMatchObject({ level: 20, protocol, actor });
    left.abort();
    await watching;
    expect(await findLine(requestId)).toMatchObject({
      level: 30,
      method: "bmaas.admin.v1.MachineService/WatchMachines",
      code: "canceled",
      actor,
    });
  });
});

test.each(["", "a b", "a\tb", "ä", "a,b", `"a"`, "<a>", "a".repeat(129)])(
  "a request id that could harm a log is replaced: %j",
  async (given) => {
    // fetch refuses some of these itself.
    using connection = await openRaw({ url: server.adminUrl });
    const lines = [
      `POST ${getMachine} HTTP/1.1`,
      "Host: a",
      "Content-Type: application/json",
      "Content-Length: 2",
      `X-Request-Id: ${given}`,
      "Connection: close",
    ];
    await connection.send(`${lines.join("\r\n")}\r\n\r\n{}`);
    const answer = await connection.until(/\}$/);
    const [, answered] = /^x-request-id: (.*)\r$/im.exec(answer) ?? [];
    expect(answered).toMatch(uuid);
  },
);

test.each([
  "4bf92f3577b34da6a3ce929d0e0e4736",
  "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  "Root=1-67891233-abcdef012345678912345678",
  "a".repeat(128),
])("a request id of the usual forms is kept: %s", async (requestId) => {
  const answer = await post(getMachine, "{}", { "x-request-id": requestId });
  expect(answer.headers.get("x-request-id")).toBe(requestId);
});

test("a message that cannot be read leaves a line as well, after the caller was known", async () => {
  const machineId = crypto.randomUUID();
  for (const body of ["{", JSON.stringify({ machineId, nonsense: 1 }), JSON.stringify({ machineId: 1 })]) {
    const answer = await post(getMachine, body);
    expect(answer.status).toBe(400);
    const line = await findLine(answer.headers.get("x-request-id") ?? "");
    expect(line).toMatchObject({ level: 30, code: "invalid_argument", actor: `token:${viewer.name}` });
  }
  const compressed = await post(getMachine, "{}", { "content-encoding": "zstd" });
  expect(await findLine(compressed.headers.get("x-request-id") ?? "")).toMatchObject({ code: "unimplemented" });
  expect(JSON.stringify(server.logged)).not.toContain(machineId);
});

test("a call whose caller goes before its message is there leaves a line", async () => {
  const requestId = crypto.randomUUID();
  {
    using connection = await openRaw({ url: server.adminUrl });
    const lines = [`POST ${getMachine} HTTP/1.1`, "Host: a", "Content-Type: application/proto", "Content-Length: 1000"];
    await connection.send(
      `${lines.join("\r\n")}\r\nX-Request-Id: ${requestId}\r\nAuthorization: ${authorization}\r\n\r\nabc`,
    );
  }
  expect(await findLine(requestId)).toMatchObject({ code: "canceled" });
});

test("a deadline that passes is in the line, by its code", async () => {
  await using proxy = await startTcpProxy(database.url);
  await using slow = await startTestServer(proxy.url);
  const requestId = crypto.randomUUID();
  await proxy.setMode("freeze");
  // Its own deadline would make the caller leave at the same moment.
  const answer = fetch(slow.adminUrl + getMachine, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "connect-timeout-ms": "200",
      "x-request-id": requestId,
      authorization,
    },
    body: "{}",
  });
  expect(await findLine(requestId, "call", slow.logged)).toMatchObject({ code: "deadline_exceeded" });
  await proxy.setMode("refuse");
  expect((await answer).status).toBe(503);
});

test("what is the server's own failure is logged with its cause under the request id, and not shown", async () => {
  const requestId = crypto.randomUUID();
  await using broken = await startTestServer(database.url);
  await database.db.$client.query("alter table admin_token rename to admin_token_away");
  try {
    const answer = await fetch(broken.adminUrl + getMachine, {
      method: "POST",
      headers: { "content-type": "application/json", authorization, "x-request-id": requestId },
      body: "{}",
    });
    expect([answer.status, await answer.json()]).toEqual([500, { code: "internal", message: "internal error" }]);
  } finally {
    await database.db.$client.query("alter table admin_token_away rename to admin_token");
  }
  const cause = await findLine(requestId, "a call failed because of an internal error", broken.logged);
  expect(cause).toMatchObject({ level: 50, err: { type: expect.any(String) } });
  expect(await findLine(requestId, "call", broken.logged)).toMatchObject({ level: 30, code: "internal" });
});

test("binary messages are as little in the log as JSON", async () => {
  const machineId = crypto.randomUUID();
  const body = toBinary(GetMachineRequestSchema, create(GetMachineRequestSchema, { machineId }));
  const answer = await fetch(server.adminUrl + getMachine, {
    method: "POST",
    headers: { "content-type": "application/proto", authorization },
    body,
  });
  expect(answer.status).toBe(404);
  await findLine(answer.headers.get("x-request-id") ?? "");
  expect(JSON.stringify(server.logged)).not.toContain(machineId);
});

test("health checks leave their line at debug only", async () => {
  const answer = await post("/grpc.health.v1.Health/Check", "{}");
  expect(await findLine(answer.headers.get("x-request-id") ?? "")).toMatchObject({ level: 20, code: "ok" });
});
