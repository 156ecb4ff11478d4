/** Whatever a stranger sends or holds open, it is answered or closed in bounded time, and costs bounded memory. */
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "vitest";
import type { ListenerLimits } from "../../src/rpc/limits.ts";
import { type HeartbeatHandler, startAgentListener, type TestListener } from "../support/agent-listener.ts";
import { grpcAgent } from "../support/agents.ts";
import {
  callHttp2,
  frameMessage,
  heartbeatHead,
  openRaw,
  openTcp,
  type RawConnection,
} from "../support/raw-connection.ts";

let listener: TestListener | undefined;

async function start(
  limits: Partial<ListenerLimits> = {},
  options: { tls?: boolean; heartbeat?: HeartbeatHandler } = {},
): Promise<TestListener> {
  listener = await startAgentListener({ limits: { checkIntervalMs: 50, ...limits }, ...options });
  return listener;
}

const opened: { destroy(): unknown }[] = [];

afterEach(async () => {
  for (const client of opened.splice(0)) client.destroy();
  await listener?.[Symbol.asyncDispose]();
  listener = undefined;
});

async function open({ agentUrl, ca }: TestListener, alpn: "h2" | "http/1.1" = "http/1.1"): Promise<RawConnection> {
  const connection = await openRaw({ url: agentUrl, ca, alpn });
  opened.push(connection.socket);
  return connection;
}

function openSession({ agentUrl, ca }: TestListener): ClientHttp2Session {
  const session = connectHttp2(agentUrl, { ...(ca !== "" && { ca }), maxSendHeaderBlockLength: 1_000_000 });
  session.on("error", () => {});
  opened.push(session);
  return session;
}

/** An expectation that fails before the usual limits would make it true, of which the shortest are ten seconds. */
async function soon<T>(what: Promise<T>): Promise<T> {
  const timer = Promise.withResolvers<never>();
  const timeout = setTimeout(() => timer.reject(new Error("not before the usual limits")), 8_000);
  return await Promise.race([what, timer.promise]).finally(() => clearTimeout(timeout));
}

const mebibyte = 1024 * 1024;
const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536, " "), Buffer.from("\r\n")]);

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("bodies %s", (_name, tls) => {
  test("of exactly the limit are read, one byte more is not", async () => {
    const { agentUrl, ca, host } = await start({}, { tls });
    for (const [length, status] of [
      [mebibyte, 200],
      [mebibyte + 1, 429],
    ] as const) {
      using connection = await openRaw({ url: agentUrl, ca });
      await connection.send(heartbeatHead(host, { "Content-Length": length }), `{}${" ".repeat(length - 2)}`);
      expect(await connection.until(/\r\n\r\n.*\}/s)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });

  test("over the limit are refused over HTTP/1.1 while they are sent, and the refusal is read", async () => {
    const target = await start({}, { tls });
    const declared = await openRaw({ url: target.agentUrl, ca: target.ca });
    await declared.send(heartbeatHead(target.host, { "Content-Length": 8 * mebibyte }), Buffer.alloc(8 * mebibyte));
    const chunked = await openRaw({ url: target.agentUrl, ca: target.ca });
    await chunked.send(heartbeatHead(target.host, { "Transfer-Encoding": "chunked" }), ...Array(128).fill(chunk));
    await chunked.send("0\r\n\r\n");
    for (const connection of [declared, chunked]) {
      await soon(connection.closed);
      expect(connection.received).toMatch(/^HTTP\/1\.1 429 .*connection: close/is);
      expect(connection.received).toMatch(/\{"code":"resource_exhausted","message":"the body is larger than 1048576/);
    }
  });

  test("in more than 4,096 pieces are refused, however small", async () => {
    const target = await start({}, { tls });
    for (const [pieces, status] of [
      [4_096, 200],
      [4_098, 429],
    ] as const) {
      using connection = await openRaw({ url: target.agentUrl, ca: target.ca });
      const body = `2\r\n{}\r\n${"1\r\n \r\n".repeat(pieces - 1)}0\r\n\r\n`;
      await connection.send(heartbeatHead(target.host, { "Transfer-Encoding": "chunked" }), body);
      expect(await connection.until(/\r\n\r\n.*\}/s)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });

  test("over the limit end their HTTP/2 stream without an error, and leave its connection", async () => {
    const session = openSession(await start({}, { tls }));
    const write = (stream: NodeJS.WritableStream) => {
      for (let count = 0; count < 40; count++) stream.write(Buffer.alloc(65_536));
    };
    const json = await soon(callHttp2(session, {}, write));
    expect([json.status, json.resetCode]).toEqual([429, 0]);
    expect(JSON.parse(json.body.toString())).toMatchObject({ code: "resource_exhausted" });
    const grpc = await soon(callHttp2(session, { "content-type": "application/grpc" }, write));
    expect([grpc.status, grpc.headers["grpc-status"], grpc.resetCode]).toEqual([200, "8", 0]);
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
  });
});

test("a stock gRPC client reads why its message was too large", async () => {
  using agent = grpcAgent(await start());
  const warning = ["x".repeat(2 * mebibyte)];
  await expect(agent.heartbeat({ hardwareReport: { warning } })).rejects.toMatchObject({
    code: Code.ResourceExhausted,
    rawMessage: expect.stringContaining("the body is larger than 1048576 bytes"),
  });
  await expect(agent.heartbeat({})).resolves.toBeDefined();
});

test("what unpacks to more than the limit is refused, by every protocol, without being unpacked", async () => {
  const session = openSession(await start());
  const bomb = Buffer.alloc(256 * mebibyte, " ");
  const packed = {
    gzip: gzipSync(bomb),
    br: brotliCompressSync(bomb, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  };
  for (const [encoding, bytes] of Object.entries(packed)) {
    expect(bytes.length).toBeLessThan(mebibyte);
    for (const type of ["json", "proto"]) {
      const headers = { "content-type": `application/${type}`, "content-encoding": encoding };
      const answer = await callHttp2(session, headers, bytes);
      expect([type, encoding, answer.status]).toEqual([type, encoding, 429]);
      expect(JSON.parse(answer.body.toString())).toMatchObject({ code: "resource_exhausted" });
    }
    const headers = { "content-type": "application/grpc", "grpc-encoding": encoding };
    const answer = await callHttp2(session, headers, frameMessage(bytes, { flags: 1 }));
    expect([encoding, answer.trailers["grpc-status"] ?? answer.headers["grpc-status"]]).toEqual([encoding, "8"]);
  }
});

describe("headers", () => {
  test("over 16 KiB are refused over HTTP/1.1, those below are read", async () => {
    const target = await start();
    const large = await open(target);
    await large.send(heartbeatHead(target.host, { "Content-Length": 2, Filler: "x".repeat(16_384) }));
    expect(await large.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 431 /);
    await soon(large.closed);
    const fair = await open(target);
    await fair.send(heartbeatHead(target.host, { "Content-Length": 2, Filler: "x".repeat(15_000) }), "{}");
    expect(await fair.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("over 16 KiB are refused over HTTP/2 once the client knows, over 64 KiB always", async () => {
    const target = await start();
    const session = openSession(target);
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
    const refused = await callHttp2(session, { filler: "x".repeat(16_384) }, "{}");
    expect([refused.status, refused.resetCode]).toEqual([undefined, 11]);
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
    const early = openSession(target);
    const answer = await callHttp2(early, { filler: "~".repeat(80_000) }, "{}");
    expect(answer.status).toBeUndefined();
  });
});

describe("HTTP/2 streams beyond the limit", () => {
  test.each([true, false])("are refused one by one (TLS %s)", async (tls) => {
    const waiting: (() => void)[] = [];
    const heartbeat: HeartbeatHandler = () => new Promise((resolve) => waiting.push(() => resolve({})));
    const target = await start({ maxConcurrentStreams: 3 }, { tls, heartbeat });
    const session = openSession(target);
    const [settings] = await once(session, "remoteSettings");
    expect(settings).toMatchObject({ maxConcurrentStreams: 3 });
    // A client in good faith waits for its turn.
    const calls = Array.from({ length: 5 }, () => callHttp2(session, {}, "{}"));
    await expect.poll(() => waiting).toHaveLength(3);
    for (let served = 0; served < 5; served++) {
      await expect.poll(() => waiting.length).toBeGreaterThan(0);
      waiting.shift()?.();
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });
});

describe("time", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["the beginning of a ClientHello", Buffer.from("16030102000100", "hex")],
  ])("of a TLS handshake in which the client says %s is bounded", async (_what, bytes) => {
    const target = await start({ handshakeTimeoutMs: 200 });
    const connection = await openTcp(target.agentUrl);
    await connection.send(bytes);
    await soon(connection.closed);
    await expect.poll(() => target.countConnections()).toBe(0);
  });

  test.each([
    ["with TLS", true],
    ["in plaintext", false],
  ])("of headers that come byte by byte over HTTP/1.1 is bounded %s", async (_name, tls) => {
    const target = await start({ headersTimeoutMs: 300 }, { tls });
    const connection = await open(target);
    const drip = (async () => {
      for (const byte of heartbeatHead(target.host, { "Content-Length": 2 }).repeat(20)) {
        if (connection.socket.destroyed) return;
        await connection.send(byte);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await soon(connection.closed);
    await drip;
    expect(connection.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each(["http/1.1", "h2"] as const)(
    "of a connection that says nothing after its handshake is bounded (%s)",
    async (alpn) => {
      const target = await start({ headersTimeoutMs: 300, requestTimeoutMs: 400, idleTimeoutMs: 300 });
      const connection = await open(target, alpn);
      await soon(connection.closed);
    },
  );

  test("of a body is bounded over HTTP/1.1, and the caller is told", async () => {
    const target = await start({ bodyTimeoutMs: 200, lingerTimeoutMs: 100 });
    for (const fields of [{ "Content-Length": 100 }, { "Transfer-Encoding": "chunked" }]) {
      const connection = await open(target);
      await connection.send(heartbeatHead(target.host, fields), "1\r\n{\r\n");
      await soon(connection.closed);
      expect(connection.received).toMatch(/^HTTP\/1\.1 504 .*"deadline_exceeded"/s);
    }
  });

  test("of a body is bounded over HTTP/2, and the connection stays", async () => {
    const session = openSession(await start({ bodyTimeoutMs: 200 }));
    for (const type of ["application/json", "application/grpc", "application/grpc-web+proto"]) {
      const answer = await soon(callHttp2(session, { "content-type": type }, (stream) => stream.write("{")));
      const said = `${answer.headers["grpc-status"]} ${answer.body}`;
      expect(said).toMatch(/^4 |"deadline_exceeded"|grpc-status: 4\r\n/);
    }
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
  });

  test.each([
    ["to an unknown path", "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n", 404],
    ["of an unknown type", heartbeatHead("a", { "Content-Type": "text/plain" }).slice(0, -2), 415],
    ["by another method", heartbeatHead("a", {}).slice(0, -2).replace("POST", "PUT"), 405],
  ])("of a body that never ends %s is bounded, and it is answered at once", async (_name, head, status) => {
    const target = await start({ lingerTimeoutMs: 100 });
    const connection = await open(target);
    await connection.send(head, "Content-Length: 100\r\n\r\n", "{");
    expect(await soon(connection.until(/\r\n\r\n/))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await soon(connection.closed);
    const session = openSession(target);
    const headers = status === 415 ? { "content-type": "text/plain" } : {};
    const place = status === 404 ? { ":path": "/nowhere" } : status === 405 ? { ":method": "PUT" } : {};
    const answer = await soon(callHttp2(session, { ...headers, ...place }, (stream) => stream.write("{")));
    expect([answer.status, answer.resetCode]).toEqual([status, 0]);
  });

  test.each(["http/1.1", "h2"])("of an answer is bounded, whatever the handler waits for (%s)", async (alpn) => {
    const target = await start({ answerTimeoutMs: 200 }, { heartbeat: () => new Promise(() => {}) });
    if (alpn === "h2") {
      const answer = await soon(callHttp2(openSession(target), {}, "{}"));
      expect(answer.status).toBeUndefined();
      return;
    }
    const connection = await open(target);
    await connection.send(heartbeatHead(target.host, { "Content-Length": 2 }), "{}");
    await soon(connection.closed);
    expect(connection.received).toBe("");
  });
});

describe("a connection on which nothing happens any more", () => {
  test.each([
    ["HTTP/1.1 with TLS", "http/1.1", true],
    ["HTTP/1.1 in plaintext", "http/1.1", false],
  ] as const)("is closed: %s", async (_name, alpn, tls) => {
    const target = await start({ idleTimeoutMs: 200 }, { tls });
    const connection = await open(target, alpn);
    await connection.send(heartbeatHead(target.host, { "Content-Length": 2 }), "{}");
    expect(await connection.until(/\{\}$/)).toMatch(/^HTTP\/1\.1 200 /);
    await soon(connection.closed);
  });

  test.each([
    ["with TLS", true],
    ["in plaintext", false],
  ])("is closed: HTTP/2 %s", async (_name, tls) => {
    const session = openSession(await start({ idleTimeoutMs: 200 }, { tls }));
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
    await soon(once(session, "close"));
  });

  test.each([
    ["with TLS", true],
    ["in plaintext", false],
  ])("is told from one that is in use: HTTP/2 %s", async (_name, tls) => {
    const session = openSession(await start({ idleTimeoutMs: 1_000 }, { tls }));
    for (const until = Date.now() + 3_000; Date.now() < until; ) {
      expect((await callHttp2(session, {}, "{}")).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(session.closed).toBe(false);
  });

  test.each([
    ["HTTP/2 with TLS", true],
    ["HTTP/2 in plaintext", false],
  ])("is freed although its client never closes its side: %s", async (_name, tls) => {
    const target = await start({ idleTimeoutMs: 200, lingerTimeoutMs: 200 }, { tls });
    const connection = await open(target, "h2");
    connection.socket.allowHalfOpen = true;
    await connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Buffer.from("000000040000000000", "hex"));
    connection.socket.pause();
    await expect.poll(() => target.countConnections()).toBe(0);
  });

  test("is freed although its client reads none of its answers", async () => {
    const target = await start({ answerTimeoutMs: 500, idleTimeoutMs: 500 });
    const connection = await open(target);
    connection.socket.pause();
    // Answers that fill every buffer on the way.
    const request = `GET /${"x".repeat(150)} HTTP/1.1\r\nHost: a\r\n\r\n`;
    for (let count = 0; count < 40 && !connection.socket.destroyed; count++)
      connection.socket.write(request.repeat(500));
    await expect.poll(() => target.countConnections()).toBe(0);
  });
});
