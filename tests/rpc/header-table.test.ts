/**
 * HTTP/2's table of headers that were sent before, which would hold each answer's date for as long as a connection
 * lasts.
 */
import { once } from "node:events";
import { connect } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startAgentListener } from "../support/agent-listener.ts";
import { callHttp2 } from "../support/raw-connection.ts";

test.each([
  ["with TLS", true],
  ["in plaintext", false],
])("answers leave nothing in it %s: one with a new date is as long as one with the same", async (_name, tls) => {
  await using listener = await startAgentListener({ tls });
  const session = connect(listener.agentUrl, tls ? { ca: listener.ca } : {});
  await once(session, "remoteSettings");
  const measureAnswer = async () => {
    const before = session.socket.bytesRead;
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
    return session.socket.bytesRead - before;
  };
  await measureAnswer();
  const withSameDate = await measureAnswer();
  await delay(1_000);
  const withNewDate = await measureAnswer();
  session.destroy();
  // Digits differ in how long they are (RFC 7541, appendix B); the whole date takes more than 20 bytes.
  expect(Math.abs(withNewDate - withSameDate)).toBeLessThan(10);
});
