/** Answers over HTTP/2 to requests whose body was not read, for clients that do not take them. */
import { connect } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { startAgentListener } from "../../support/agent-listener.ts";
import { callHttp2 } from "../../support/raw-connection.ts";

const refuse = () => () => {
  throw new ConnectError("no", Code.PermissionDenied);
};

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_name, tls) => {
  test.each([
    ["a call that is refused", {}],
    ["a path that is not served", { ":path": "/nothing" }],
  ])("the client is told when the answer to %s ends for lack of time", async (_what, headers) => {
    const limits = { answerTimeoutMs: 200, bodyTimeoutMs: 5_000, checkIntervalMs: 50 };
    await using listener = await startAgentListener({ tls, limits, authenticate: refuse });
    // The client gives the server no room for a body.
    const session = connect(listener.agentUrl, { ca: listener.ca, settings: { initialWindowSize: 0 } });
    session.on("error", () => {});
    const answer = callHttp2(session, headers, (stream) => stream.write("{"));
    const outcome = await Promise.race([answer, delay(5_000, "nothing")]);
    session.destroy();
    expect(outcome).toMatchObject({ body: Buffer.alloc(0), resetCode: expect.any(Number) });
  });
});
