/** The gRPC client's connection, against a server that ends it. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { type ClientHttp2Stream, constants, createSecureServer, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { startAgentListener } from "../support/agent-listener.ts";
import { codeOf } from "../support/agents.ts";
import { makeFolder } from "../support/program.ts";

test("a call that begins while the server's GOAWAY is taken in goes over a new connection, and nothing is thrown", async ({
  onTestFinished,
}) => {
  const { ca, cert, key } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const handler = connectNodeAdapter({ routes: (router) => router.service(AgentCallback, { heartbeat: () => ({}) }) });
  const server = createSecureServer({ cert, key }, handler).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  let session: ServerHttp2Session | undefined;
  server.on("session", (opened) => {
    session = opened;
  });
  const { port } = server.address() as AddressInfo;
  const client = createAgentClient({ endpoint: `https://127.0.0.1:${port}`, key: await generateAgentKey(), ca });

  const { promise: answered, resolve } = Promise.withResolvers<string>();
  const onStream = (message: unknown) => {
    const { stream } = message as { stream: ClientHttp2Stream };
    stream.session?.once("goaway", () => resolve(codeOf(client.heartbeat({}))));
  };
  subscribe("http2.client.stream.created", onStream);
  onTestFinished(() => void unsubscribe("http2.client.stream.created", onStream));

  await client.heartbeat({});
  const first = session;
  const ended = first && once(first, "close");
  first?.close();
  expect(await answered).toBe("ok");
  await ended;
  expect(session === first).toBe(false);
  session?.destroy();
});

describe("a call whose stream is refused before it was looked at", () => {
  /** Refuses the first `count` streams, and counts all. */
  async function startRefusingServer(count: number) {
    const { ca, cert, key } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
    const handler = connectNodeAdapter({
      routes: (router) => router.service(AgentCallback, { heartbeat: () => ({}) }),
    });
    const streams = { count: 0 };
    const server = createSecureServer({ cert, key }, (request, response) => {
      streams.count += 1;
      if (streams.count > count) return handler(request, response);
      request.stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    onTestFinished(() => void server.close());
    const sessions: ServerHttp2Session[] = [];
    server.on("session", (session) => sessions.push(session));
    onTestFinished(() => {
      for (const session of sessions) session.destroy();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const client = createAgentClient({ endpoint: `https://127.0.0.1:${port}`, key: await generateAgentKey(), ca });
    return { client, streams };
  }

  test.each([1, 3])("is sent once more, %i times if need be, and nobody notices", async (refusals) => {
    const { client, streams } = await startRefusingServer(refusals);
    expect(await codeOf(client.heartbeat({}))).toBe("ok");
    expect(streams.count).toBe(refusals + 1);
  });

  test("again and again fails as one that may be sent later, not as one that is at fault", async () => {
    const { client, streams } = await startRefusingServer(100);
    expect(await codeOf(client.heartbeat({}))).toBe("Unavailable");
    expect(streams.count).toBe(4);
  });
});

describe("the TLS session", () => {
  /** Starts a listener behind a proxy that can cut connections, and records which connections resumed a session. */
  async function start() {
    const resumed: boolean[] = [];
    const listener = await startAgentListener({
      authenticate: ({ tls }) => {
        resumed.push(tls?.isSessionReused() === true);
        return () => {};
      },
    });
    const target = new URL(listener.agentUrl);
    let refusals = 0;
    const sockets: Socket[] = [];
    const proxy = createServer((client) => {
      const upstream = connectTcp(Number(target.port), target.hostname);
      sockets.push(client);
      for (const socket of [client, upstream]) socket.on("error", () => {});
      client.on("close", () => upstream.destroy());
      // The client's first message is answered by the end of the connection.
      if (refusals > 0) client.once("data", () => client.destroy());
      else client.pipe(upstream).pipe(client);
      refusals = Math.max(0, refusals - 1);
    }).listen(0, "127.0.0.1");
    onTestFinished(async () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await listener[Symbol.asyncDispose]();
    });
    await once(proxy, "listening");
    const endpoint = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const client = createAgentClient({ endpoint, key: await generateAgentKey(), ca: listener.ca });
    const reconnect = async () => {
      const last = sockets.at(-1);
      const closed = last && once(last, "close");
      last?.destroy();
      await closed;
    };
    const refuse = (count: number) => {
      refusals = count;
    };
    return { client, resumed, reconnect, refuse };
  }

  /** Calls until the client has noticed that its connection is gone. */
  const beat = (client: Awaited<ReturnType<typeof start>>["client"]) =>
    expect.poll(() => codeOf(client.heartbeat({}))).toBe("ok");

  test("is resumed by every later connection", async () => {
    const { client, resumed, reconnect } = await start();
    for (let connection = 0; connection < 3; connection++) {
      await beat(client);
      await reconnect();
    }
    expect(resumed).toEqual([false, true, true]);
  });

  test("with which a handshake failed is not used again", async () => {
    const { client, resumed, reconnect, refuse } = await start();
    await beat(client);
    refuse(1);
    await reconnect();
    expect(await codeOf(client.heartbeat({}))).not.toBe("ok");
    await beat(client);
    expect(resumed).toEqual([false, false]);
  });
});
