/** Where a request says that it goes, over HTTP/1.1, on both listeners. */
import { beforeAll, describe, expect, test, vi } from "vitest";
import { heartbeatPath } from "../support/agents.ts";
import { tokenOf } from "../support/operator.ts";
import { openRaw } from "../support/raw-connection.ts";
import { startServerWithDatabase, type TestServer } from "../support/server.ts";

let server: TestServer;
let authorization: string;

beforeAll(async () => {
  const started = await startServerWithDatabase();
  server = started.server;
  authorization = `Authorization: Bearer ${(await tokenOf(started.database.db, "viewer")).secret}`;
});

const fleetPath = "/bmaas.admin.v1.FleetService/GetFleet";
const json = "Content-Type: application/json\r\nContent-Length: 2";

/**
 * Sends the lines of a head, and an empty JSON object behind a head that announces one; returns status, fields and
 * body.
 */
async function send(listener: "agents" | "operators", ...lines: string[]) {
  const url = listener === "agents" ? server.agentUrl : server.adminUrl;
  using connection = await openRaw({ url, ca: server.ca });
  const head = [...lines, "Connection: close"].join("\r\n");
  await connection.send(`${head}\r\n\r\n${head.includes("Content-Length: 2") ? "{}" : ""}`);
  await connection.closed;
  const [, status, fields = "", body = ""] =
    /^HTTP\/1\.1 (\d+) .*?\r\n(.*?)\r\n\r\n(.*)$/s.exec(connection.received) ?? [];
  const allow = /^allow: (.*)$/im.exec(fields)?.[1];
  return { status: Number(status), allow, body };
}

const calls = {
  agents: `POST ${heartbeatPath} HTTP/1.1`,
  operators: `POST ${fleetPath} HTTP/1.1`,
};

describe.each(["agents", "operators"] as const)("on the %s' listener", (listener) => {
  test.each(["a/b", "a?b", "a#b", "u@a", "a:b", "[::1", "[a]", "a b", "a\\b", "%zz", "a..b:99999", "\xff"])(
    "the host %j is refused",
    async (host) => {
      const complained = vi.spyOn(console, "error");
      const answer = await send(listener, calls[listener], `Host: ${host}`, json);
      expect([answer.status, complained.mock.calls]).toEqual([400, []]);
      complained.mockRestore();
    },
  );

  test.each([
    ["two hosts", ["Host: a", "Host: a"]],
    ["two hosts in different spelling", ["host: a", "HOST: b"]],
    ["an empty host", ["Host:"]],
  ])("a call with %s is refused", async (_what, lines) => {
    const answer = await send(listener, calls[listener], ...lines, json);
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: "invalid_argument" }]);
  });

  test("a call over HTTP/1.0 that names no host is refused", async () => {
    const answer = await send(listener, calls[listener].replace("1.1", "1.0"), json);
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: "invalid_argument" }]);
  });

  test.each(["a", "a.example:8443", "127.0.0.1", "[::1]:8443", "a_b", "a:"])("the host %j is served", async (host) => {
    const answer = await send(listener, calls[listener], `Host: ${host}`, json);
    expect(answer.status).toBe(401);
  });

  test("GET of a method that is called by POST is answered with what is allowed", async () => {
    const path = listener === "agents" ? heartbeatPath : "/bmaas.admin.v1.MachineService/CreateMachine";
    expect(await send(listener, `GET ${path} HTTP/1.1`, "Host: a")).toMatchObject({ status: 405, allow: "POST" });
  });

  test("a target that is a whole URL is served as its path", async () => {
    const line = calls[listener].replace(" /", " http://a.example/");
    expect((await send(listener, line, "Host: b.example", json)).status).toBe(401);
    const atRoot = await send(listener, "GET / HTTP/1.1", "Host: a");
    expect((await send(listener, "GET http://a.example HTTP/1.1", "Host: a")).status).toBe(atRoot.status);
    expect((await send(listener, "GET http://a.example/a.b HTTP/1.1", "Host: a")).status).toBe(404);
  });

  test("a target that is a URL without a host is refused", async () => {
    const answer = await send(listener, "GET http:/// HTTP/1.1", "Host: a");
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: "invalid_argument" }]);
  });

  test("a target whose authority is none is refused, whatever the host field says", async () => {
    const line = calls[listener].replace(" /", " http://u@a/");
    expect((await send(listener, line, "Host: b.example", json)).status).toBe(400);
  });
});

test("a method that may be called by GET says so to who tries another way", async () => {
  const answer = await send("operators", `PUT ${fleetPath} HTTP/1.1`, "Host: a", json);
  expect([answer.status, answer.allow?.split(", ").toSorted()]).toEqual([405, ["GET", "POST"]]);
});

test("an operator's call with a whole URL for its target succeeds", async () => {
  const line = `POST HTTP://${new URL(server.adminUrl).host}${fleetPath} HTTP/1.1`;
  expect((await send("operators", line, "Host: b", authorization, json)).status).toBe(200);
});

test("probes need no host: that of HTTP/1.0, and an empty one", async () => {
  expect((await send("operators", "GET /healthz HTTP/1.0")).status).toBe(200);
  expect((await send("operators", "GET /readyz HTTP/1.1", "Host:")).status).toBe(200);
});
