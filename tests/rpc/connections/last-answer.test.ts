/** The last answer of a connection over HTTP/1.1 reaches a client that has sent more behind its request. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { startAgentListener } from "../../support/agent-listener.ts";
import { heartbeatHead, openRaw } from "../../support/raw-connection.ts";

/** It is refused at once, and the server says that it closes. */
const last = "POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
/** A piece of a request that never becomes whole. */
const more = `POST /more HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1_000)}`;
const oneAnswer = /^HTTP\/1\.1 404 (?:(?!HTTP\/1\.1).)*\}$/s;

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_name, hasTls) => {
  test("requests behind the last one are not served, and do not cost a client its answer that reads it late", async () => {
    await using listener = await startAgentListener({ tls: hasTls });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    connection.socket.pause();
    await connection.send(last, more);
    for (let left = 5; left > 0; left--) {
      await delay(100);
      await connection.send(more);
    }
    connection.socket.resume();
    await connection.closed;
    expect(connection.received).toMatch(oneAnswer);
  });

  test("a client that does not go is cut", async () => {
    await using listener = await startAgentListener({
      tls: hasTls,
      limits: { lingerTimeoutMs: 100, checkIntervalMs: 50 },
    });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    connection.socket.allowHalfOpen = true;
    await connection.send(last);
    await connection.until(oneAnswer);
    const deadline = Date.now() + 3_000;
    while ((await listener.countConnections()) > 0 && Date.now() < deadline)
      await connection.send(heartbeatHead("a", {}));
    expect(await listener.countConnections()).toBe(0);
  });
});
