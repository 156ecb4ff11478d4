/**
 * What a stream or a connection over HTTP/1.1 keeps after its call: closed ones stay in memory until the next major
 * collection, and a connection may be idle for long.
 */
import diagnostics from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";
import { connect, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, onTestFinished, test } from "vitest";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { startAgentListener } from "../../support/agent-listener.ts";
import { callHttp2, frameMessage, heartbeatHead, openRaw } from "../../support/raw-connection.ts";

interface Created {
  readonly stream: ServerHttp2Stream;
  readonly headers: object;
}

const message = frameMessage(toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId: "m" })));

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Waits until a major collection has freed the objects. */
async function expectFreed(objects: readonly WeakRef<object>[]): Promise<void> {
  const countKept = () => {
    collect();
    return objects.filter((each) => each.deref() !== undefined).length;
  };
  await expect.poll(countKept).toBe(0);
}

test("a closed stream keeps nothing of its call", async () => {
  const listener = await startAgentListener({ unaryLane: "on", tls: false });
  const session = connect(listener.agentUrl);
  const streams: ServerHttp2Stream[] = [];
  const headers: WeakRef<object>[] = [];
  const note = (created: unknown) => {
    streams.push((created as Created).stream);
    headers.push(new WeakRef((created as Created).headers));
  };
  diagnostics.subscribe("http2.server.stream.created", note);
  onTestFinished(async () => {
    diagnostics.unsubscribe("http2.server.stream.created", note);
    session.destroy();
    await listener[Symbol.asyncDispose]();
  });
  for (let call = 0; call < 3; call++) {
    expect((await callHttp2(session, { "content-type": "application/grpc" }, message)).trailers).toMatchObject({
      "grpc-status": "0",
    });
  }
  await expect.poll(() => streams.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
  await expectFreed(headers);
});

test.each([
  ["with", "on"],
  ["without", "off"],
] as const)(
  "a stream whose body was too large does not outlive its caller's connection, %s the lane",
  async (_how, unaryLane) => {
    await using listener = await startAgentListener({ unaryLane, tls: false });
    const session = connect(listener.agentUrl);
    onTestFinished(() => session.destroy());
    const answer = await callHttp2(session, {}, (stream) => void stream.write(Buffer.alloc(4 * 1024 * 1024)));
    expect(answer.status).toBe(429);
    session.destroy();
    await expect.poll(() => listener.countConnections()).toBe(0);
  },
);

test.each([
  ["with TLS", true],
  ["in plaintext", false],
])("a connection over HTTP/1.1 keeps nothing of its calls, neither idle nor closed, %s", async (_name, tls) => {
  await using listener = await startAgentListener({ unaryLane: "on", tls });
  const sockets: Socket[] = [];
  const requests: WeakRef<object>[] = [];
  const note = (begun: unknown) => {
    const { request, socket } = begun as { request: IncomingMessage; socket: Socket };
    sockets.push(socket);
    requests.push(new WeakRef(request));
  };
  diagnostics.subscribe("http.server.request.start", note);
  onTestFinished(() => void diagnostics.unsubscribe("http.server.request.start", note));
  using idle = await openRaw({ url: listener.agentUrl, ca: listener.ca });
  using closing = await openRaw({ url: listener.agentUrl, ca: listener.ca });
  for (const [connection, headers] of [
    [idle, {}],
    [closing, { connection: "close" }],
  ] as const) {
    await connection.send(heartbeatHead("a", { "Content-Length": 2, ...headers }), "{}");
    expect(await connection.until(/\}$/)).toMatch(/^HTTP\/1\.1 200 /);
  }
  await closing.closed;
  await expect.poll(() => sockets.map(({ closed }) => closed)).toEqual([false, true]);
  await expectFreed(requests);
});
