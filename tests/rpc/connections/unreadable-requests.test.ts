/** What is no request is answered, and the answer reaches its client, behind the answers to the requests before it. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { startAgentListener } from "../../support/agent-listener.ts";
import { tokenOf } from "../../support/operator.ts";
import { frameMessage, heartbeatHead, openRaw, openTcp } from "../../support/raw-connection.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const cases: readonly (readonly [string, string, number])[] = [
  ["headers of 17 kB", heartbeatHead("a", { Filler: "x".repeat(17_000) }), 431],
  ["headers of 200 kB", heartbeatHead("a", { Filler: "x".repeat(200_000) }), 431],
  ["no request", `${"x".repeat(2_000)}\r\n\r\n`, 400],
];

test.each(cases)("to a client that sends %s at once", async (_what, bytes, status) => {
  await using listener = await startAgentListener();
  using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
  await connection.send(bytes);
  await connection.closed;
  const [head, body] = connection.received.split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(JSON.parse(body ?? "")).toMatchObject({ statusCode: status });
});

test("a client that neither reads its answer nor goes is cut", async () => {
  await using listener = await startAgentListener({ limits: { lingerTimeoutMs: 100, checkIntervalMs: 50 } });
  using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
  connection.socket.pause();
  connection.socket.allowHalfOpen = true;
  await connection.send("x\r\n\r\n");
  const deadline = Date.now() + 20_000;
  while ((await listener.countConnections()) > 0 && Date.now() < deadline) await connection.send("more of it\r\n");
  expect(await listener.countConnections()).toBe(0);
});

describe("behind whole requests", () => {
  const beat = (fields: Record<string, string | number> = { "Content-Length": 2 }) =>
    heartbeatHead("127.0.0.1", fields);
  const whole = `${beat()}{}`;
  const brokenChunk = `${beat({ "Transfer-Encoding": "chunked" })}no length\r\n`;
  const slow = async () => {
    await delay(100);
    return {};
  };

  test.each([
    ["no request", "x\r\n\r\n", [200, 200, 400]],
    ["headers that are too large", beat({ Filler: "x".repeat(17_000) }), [200, 200, 431]],
    ["a broken body", brokenChunk, [200, 200, 400]],
  ])("%s is answered after them", async (_what, last, statuses) => {
    await using listener = await startAgentListener({ heartbeat: slow });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    await connection.send(whole + whole + last);
    await connection.closed;
    expect(readStatuses(connection.received)).toEqual(statuses);
  });

  test("a head that never gets whole is answered after them", async () => {
    await using listener = await startAgentListener({
      limits: { headersTimeoutMs: 500, checkIntervalMs: 50, lingerTimeoutMs: 20_000 },
      heartbeat: async () => {
        await delay(1_500);
        return {};
      },
    });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    await connection.send(whole, "POST /");
    await connection.closed;
    expect(readStatuses(connection.received)).toEqual([200, 408]);
  });

  test("the connection is cut when their answers take too long", async () => {
    let isCalled = false;
    await using listener = await startAgentListener({
      limits: { lingerTimeoutMs: 100, checkIntervalMs: 50 },
      heartbeat: async (_request, { signal }) => {
        isCalled = true;
        await delay(20_000, undefined, { signal });
        return {};
      },
    });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    await connection.send(`${whole}x\r\n\r\n`);
    await connection.closed;
    expect({ isCalled, received: connection.received }).toEqual({ isCalled: true, received: "" });
  });

  test("a body that breaks after its request was answered has no second answer", async () => {
    await using listener = await startAgentListener();
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    await connection.send(beat({ "Transfer-Encoding": "chunked", "Content-Type": "text/plain" }));
    await connection.until(/\r\n\r\n/);
    await connection.send("no length\r\n");
    await connection.closed;
    expect(readStatuses(connection.received)).toEqual([415]);
  });
});

test("nothing is written into an answer that streams", async () => {
  const { database, server } = await startServerWithDatabase();
  const body = frameMessage(Buffer.from("{}"));
  const fields = {
    Host: new URL(server.adminUrl).host,
    Authorization: `Bearer ${(await tokenOf(database.db, "viewer")).secret}`,
    "Content-Type": "application/connect+json",
    "Content-Length": body.length,
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  using connection = await openTcp(server.adminUrl);
  await connection.send(`POST /bmaas.admin.v1.MachineService/WatchMachines HTTP/1.1\r\n${head.join("")}\r\n`, body);
  await connection.until(/\r\n\r\n[0-9a-f]+\r\n/);
  await connection.send("x\r\n\r\n");
  await connection.closed;
  expect(readStatuses(connection.received)).toEqual([200]);
});

function readStatuses(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
