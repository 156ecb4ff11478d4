/** The last answer of a connection over HTTP/1.1 reaches a client that has sent more behind its request. */
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { startAgentListener } from "../../support/agent-listener.ts";
import { makeFolder } from "../../support/program.ts";
import { heartbeatHead, openRaw } from "../../support/raw-connection.ts";
import { waitUntil } from "../../support/wait.ts";

/** It is refused at once, and the server says that it closes. */
const last = "POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
/** A piece of a request that never becomes whole. */
const more = `POST /more HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1_000)}`;
const oneAnswer = /^HTTP\/1\.1 404 (?:(?!HTTP\/1\.1).)*\}$/s;
const tooMuchForBuffers = Buffer.alloc(64 * 1024 * 1024, "a");

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
    const deadline = Date.now() + 20_000;
    while ((await listener.countConnections()) > 0 && Date.now() < deadline)
      await connection.send(heartbeatHead("a", {}));
    expect(await listener.countConnections()).toBe(0);
  });

  test.each([
    ["says so", "POST /last HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\nContent-Length: 1\r\n\r\nx"],
    ["speaks HTTP/1.0", "POST /last HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"],
  ])("a client that sends nothing more is not waited for if it %s", async (_how, request) => {
    await using listener = await startAgentListener({ tls: hasTls, limits: { lingerTimeoutMs: 3_600_000 } });
    using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
    connection.socket.allowHalfOpen = true;
    await connection.send(request);
    await connection.until(oneAnswer);
    await waitUntil("the server closes the connection", async () => (await listener.countConnections()) === 0);
  });

  test("a client that has closed its half and does not read is cut, however long its call may last", async () => {
    const { ca, ...tls } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
    const listener = createListener({
      tls: hasTls ? tls : undefined,
      requestClientCertificate: false,
      log: pino({ level: "silent" }),
      limits: { ...defaultLimits, answerTimeoutMs: 100, checkIntervalMs: 50 },
      endlessPaths: new Set(["/large"]),
    });
    await using _closing = { [Symbol.asyncDispose]: prepareClose(listener) };
    const closed = Promise.withResolvers<void>();
    listener.server.on(hasTls ? "secureConnection" : "connection", (socket) => socket.once("close", closed.resolve));
    listener.get("/large", async () => tooMuchForBuffers);
    using connection = await openRaw({ url: await listener.listen({ host: "127.0.0.1", port: 0 }), ca });
    connection.socket.pause();
    await connection.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.socket.end();
    await closed.promise;
  });
});
