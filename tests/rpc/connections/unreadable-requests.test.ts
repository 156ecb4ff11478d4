/** What is no request is answered, and the answer reaches its client. */
import { expect, test } from "vitest";
import { startAgentListener } from "../../support/agent-listener.ts";
import { heartbeatHead, openRaw } from "../../support/raw-connection.ts";

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
  const deadline = Date.now() + 3_000;
  while ((await listener.countConnections()) > 0 && Date.now() < deadline) await connection.send("more of it\r\n");
  expect(await listener.countConnections()).toBe(0);
});
