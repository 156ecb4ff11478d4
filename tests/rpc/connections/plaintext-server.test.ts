import { once } from "node:events";
import { Agent, type RequestListener, request as requestHttp1, type Server } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { credentials, Client as GrpcClient } from "@grpc/grpc-js";
import { fastify } from "fastify";
import { afterEach, describe, expect, test } from "vitest";
import {
  AgentCallback,
  HeartbeatRequestSchema,
  HeartbeatResponseSchema,
} from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createPlaintextServer, type PlaintextLimits } from "../../../src/rpc/connections/plaintext-server.ts";

const generous: PlaintextLimits = {
  sniffTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  idleTimeoutMs: 20_000,
  maxHeaderBytes: 16_384,
  maxConcurrentStreams: 100,
  answerTimeoutMs: 20_000,
  lingerTimeoutMs: 1_000,
  checkIntervalMs: 100,
};
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** An empty SETTINGS frame. */
const settings = Buffer.from("000000040000000000", "hex");
const frameTypeOffset = 3;

let server: Server;
let port: number;
const opened: (Socket | ClientHttp2Session)[] = [];

/** Answers with the request's version, method and body. */
const echo: RequestListener = async (request, response) => {
  const body = await text(request).catch(() => "");
  response.end(`${request.httpVersion} ${request.method} ${body}`);
};

async function start(limits: Partial<PlaintextLimits> = {}, handler: RequestListener = echo): Promise<void> {
  server = createPlaintextServer(handler, { ...generous, ...limits });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
}

afterEach(async () => {
  for (const client of opened.splice(0)) client.destroy();
  if (!server.listening) return;
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function openSocket(): Socket {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => {});
  opened.push(socket);
  return socket;
}

function openSession(): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  opened.push(session);
  return session;
}

async function call(session: ClientHttp2Session, body = "", headers: Record<string, string> = {}): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": "/", ...headers });
  stream.end(body);
  return await text(stream);
}

/**
 * Sends the pieces one after the other, each in a segment of its own, and returns what comes until the server closes.
 */
async function converse(...pieces: (string | Buffer)[]): Promise<Buffer> {
  const socket = openSocket();
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (const piece of pieces) {
    await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
  }
  await closed;
  return Buffer.concat(chunks);
}

describe("protocols", () => {
  test("answers HTTP/1.1 and HTTP/2 on one port, with bodies of any size", async () => {
    await start();
    const large = "x".repeat(1_000_000);
    const http1 = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: large });
    expect(await http1.text()).toBe(`1.1 POST ${large}`);
    expect(await call(openSession(), large)).toBe(`2.0 POST ${large}`);
  });

  test.each(["GET", "POST", "PUT", "PATCH", "PROPFIND"])(
    "takes a %s request that comes byte by byte for HTTP/1.1",
    async (method) => {
      await start();
      const answer = await converse(...`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect(answer.toString()).toContain(`1.1 ${method} `);
    },
  );

  test("answers requests of one HTTP/1.1 segment in order, and those that follow", async () => {
    await start();
    const get = (path: string, close = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${close}\r\n`;
    const answer = await converse(get("/1") + get("/2"), get("/3", "Connection: close\r\n"));
    expect(answer.toString().match(/1\.1 GET /g)).toHaveLength(3);
  });

  test.each([
    ["whole", [Buffer.concat([Buffer.from(preface), settings])]],
    ["byte by byte", [...Buffer.concat([Buffer.from(preface), settings])].map((byte) => Buffer.of(byte))],
    ["split within PRI", ["PR", preface.slice(2), settings]],
    ["split before its end", [preface.slice(0, 23), preface.slice(23), settings]],
  ])("takes a preface that comes %s for HTTP/2", async (_how, pieces) => {
    await start();
    const socket = openSocket();
    const answered = once(socket, "data");
    for (const piece of pieces) {
      await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
    }
    const [answer] = (await answered) as [Buffer];
    expect(answer[frameTypeOffset]).toBe(settings[frameTypeOffset]);
  });

  test("refuses what is neither", async () => {
    await start();
    expect((await converse("PR", "I / HTTP/1.1\r\nHost: a\r\n\r\n")).toString()).toMatch(/^HTTP\/1\.1 400 /);
    expect((await converse("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")).toString()).toMatch(/^HTTP\/1\.1 400 /);
    expect((await converse(Buffer.from("160301020001", "hex"), "\r\n\r\n")).toString()).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe("limits", () => {
  test.each([
    ["nothing", []],
    ["a part of the preface", [preface.slice(0, 20)]],
  ])("drops a connection that sends %s", async (_what, pieces) => {
    await start({ sniffTimeoutMs: 50 });
    expect(await converse(...pieces)).toHaveLength(0);
  });

  test("drops a connection that sends its HTTP/1.1 headers too slowly", async () => {
    await start({ headersTimeoutMs: 100 });
    expect((await converse("GET / HTTP/1.1\r\nHost:")).toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("drops a connection that sends its HTTP/1.1 body too slowly", async () => {
    await start({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const answer = await converse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", "abc");
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("closes idle connections of both protocols", async () => {
    await start({ idleTimeoutMs: 500 });
    const answer = await converse("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    const session = openSession();
    const closed = once(session, "close");
    expect(await call(session)).toBe("2.0 POST ");
    await closed;
  });

  test("refuses headers beyond the limit over both protocols", async () => {
    await start({ maxHeaderBytes: 2_000 });
    const filler = "x".repeat(3_000);
    expect((await fetch(`http://127.0.0.1:${port}/`, { headers: { filler } })).status).toBe(431);
    const session = openSession();
    // A limit binds the client of HTTP/2 once it has acknowledged it.
    expect(await call(session)).toBe("2.0 POST ");
    await expect(call(session, "", { filler })).rejects.toThrow("NGHTTP2_ENHANCE_YOUR_CALM");
    expect(await call(session)).toBe("2.0 POST ");
  });

  test("tells HTTP/2 clients how many streams they may open", async () => {
    await start({ maxConcurrentStreams: 7 });
    const [remote] = await once(openSession(), "remoteSettings");
    expect(remote).toMatchObject({ maxConcurrentStreams: 7, maxHeaderListSize: generous.maxHeaderBytes });
  });
});

describe("faults of one connection", () => {
  test.each([
    ["before a byte", []],
    ["within the preface", [preface.slice(0, 5)]],
    ["as an HTTP/2 connection", [preface, settings]],
    ["within an HTTP/1.1 request", ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]],
  ])("leave the others alone when it is reset %s", async (_when, pieces) => {
    await start();
    const session = openSession();
    await call(session);
    const socket = openSocket();
    await once(socket, "connect");
    for (const piece of pieces) await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
    socket.resetAndDestroy();
    await expect.poll(() => countConnections()).toBe(1);
    expect(await call(session, "still here")).toBe("2.0 POST still here");
  });

  test.each([
    ["before a byte", []],
    ["within the preface", [preface.slice(0, 5)]],
    ["as an HTTP/2 connection", [preface, settings]],
    ["after an HTTP/1.1 request", ["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]],
  ])("leave no socket behind when the client closes its half %s", async (_when, pieces) => {
    await start();
    const socket = openSocket();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (const piece of pieces) socket.write(piece);
    socket.resume().end();
    await closed;
    await expect.poll(() => countConnections()).toBe(0);
  });
});

describe("closing", () => {
  test("drops connections without a request at once", async () => {
    await start();
    const silent = openSocket();
    await once(silent, "connect");
    const agent = new Agent({ keepAlive: true });
    const idleSession = openSession();
    await Promise.all([getHttp1(agent), call(idleSession)]);
    await expect.poll(() => countConnections()).toBe(3);
    server.close();
    await Promise.all([once(server, "close"), once(silent, "close"), once(idleSession, "close")]);
    agent.destroy();
  });

  test("lets requests of both protocols end, and then ends by itself", async () => {
    const waiting: (() => void)[] = [];
    await start({}, (request, response) => {
      waiting.push(() =>
        response.writeHead(200, request.httpVersionMajor === 1 ? { connection: "close" } : {}).end("done"),
      );
    });
    const answers = Promise.all([
      fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()),
      call(openSession()),
    ]);
    await expect.poll(() => waiting).toHaveLength(2);
    server.close();
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    for (const answer of waiting) answer();
    expect(await answers).toEqual(["done", "done"]);
    await once(server, "close");
  });

  test("cuts everything on demand", async () => {
    await start({}, () => {});
    const silent = openSocket();
    await once(silent, "connect");
    const session = openSession();
    const answers = Promise.allSettled([fetch(`http://127.0.0.1:${port}/`), call(session)]);
    await expect.poll(() => countConnections()).toBe(3);
    server.close();
    server.closeAllConnections();
    await Promise.all([once(server, "close"), once(silent, "close"), once(session, "close"), answers]);
  });
});

describe("under Fastify", () => {
  const path = "/cloud.bmaas.server.api.AgentCallback/Heartbeat";
  const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";

  async function startFastify() {
    const app = fastify({ serverFactory: (handler) => createPlaintextServer(handler as RequestListener, generous) });
    await app.register(fastifyConnectPlugin, {
      routes: (router) => {
        router.service(AgentCallback, {
          heartbeat: ({ machineId: generation }) => ({
            installationRequest: { generation: BigInt(generation.length) },
          }),
        });
      },
    });
    const address = await app.listen({ host: "127.0.0.1", port: 0 });
    server = app.server;
    return { app, address };
  }

  test("serves Connect JSON over HTTP/1.1 and gRPC over HTTP/2 on one port, and closes with a channel open", async () => {
    const { app, address } = await startFastify();
    const json = await fetch(`${address}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ machineId }),
    });
    expect(await json.json()).toEqual({ installationRequest: { generation: "36" } });

    const client = new GrpcClient(address.replace("http://", ""), credentials.createInsecure());
    const request = create(HeartbeatRequestSchema, { machineId });
    const response = await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (message: typeof request) => Buffer.from(toBinary(HeartbeatRequestSchema, message)),
        (bytes) => fromBinary(HeartbeatResponseSchema, bytes),
        request,
        (error, message) => (error === null ? resolve(message) : reject(error)),
      );
    });
    expect(response).toMatchObject({ installationRequest: { generation: 36n } });
    await app.close();
    client.close();
  });
});

function countConnections(): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

function getHttp1(agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = requestHttp1({ port, host: "127.0.0.1", agent }, (response) => {
      response.resume().once("end", resolve);
    });
    request.on("error", reject).end();
  });
}
