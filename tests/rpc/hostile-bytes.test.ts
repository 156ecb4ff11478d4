/** Bytes that no client sends: each gets an answer or loses its connection, and nobody else notices. */
import { connect as connectHttp2 } from "node:http2";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { heartbeatPath } from "../support/agents.ts";
import { type Bystander, startBystander } from "../support/bystander.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, type TestMachine } from "../support/machine.ts";
import { countConnections, findResidentBytes } from "../support/program.ts";
import {
  callHttp2,
  frameMessage,
  heartbeatHead,
  openRaw,
  openTcp,
  type RawConnection,
} from "../support/raw-connection.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

let database: TestDatabase;
let server: ServerProcess;
let machine: TestMachine;
let bystander: Bystander;
let host: string;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startServerProcess({ DATABASE_URL: database.url });
  host = new URL(server.agentUrl).host;
  machine = await machineWithAgent(database.db);
  bystander = await startBystander(server, await machineWithAgent(database.db));
  await bystander.expectUnharmed();
});

afterEach(async () => {
  await bystander.expectUnharmed();
  expect(server.output.stderr).toBe("");
});

afterAll(async () => {
  await bystander?.[Symbol.asyncDispose]();
  expect(await server?.stop()).toBe(0);
  await database?.close();
});

async function open(alpn: "h2" | "http/1.1"): Promise<RawConnection> {
  const certificate = createClientCertificate(machine.key);
  return await openRaw({ url: server.agentUrl, ca: server.ca, alpn, certificate });
}

/** Sends bytes, then closes this side, and resolves with the answer once the server has closed as well. */
async function converse(connection: RawConnection, ...pieces: (string | Uint8Array)[]): Promise<string> {
  await connection.send(...pieces);
  connection.socket.end();
  await connection.closed;
  return connection.received;
}

const body = () => JSON.stringify({ machineId: machine.machineId });
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function frame(type: number, flags: number, stream: number, payload: string | Uint8Array = ""): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload, "hex") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}
const settings = frame(4, 0, 0);

describe("instead of TLS", () => {
  test.each([
    ["HTTP in plaintext", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
    ["HTTP/2 in plaintext", Buffer.concat([Buffer.from(preface), settings])],
    ["zeros", Buffer.alloc(10_000)],
    ["a TLS record of another protocol version", Buffer.from("16ffff0005aabbccddee", "hex")],
    ["a ClientHello that is none", Buffer.concat([Buffer.from("1603010200010001fc0303", "hex"), Buffer.alloc(512, 7)])],
    ["application data before any handshake", Buffer.from("170303000548454c4c4f", "hex")],
  ])("%s is hung up on", async (_what, bytes) => {
    using connection = await openTcp(server.agentUrl);
    await converse(connection, bytes);
  });

  test("a connection that is reset in mid-handshake is forgotten", async () => {
    for (let count = 0; count < 20; count++) {
      const { socket, send } = await openTcp(server.agentUrl);
      await send(Buffer.from("16030102000100", "hex"));
      socket.resetAndDestroy();
    }
  });
});

describe("over HTTP/1.1", () => {
  const heartbeat = (edit: (head: string) => string) => () =>
    edit(heartbeatHead(host, { "Content-Length": body().length })) + body();
  const rawRequest = (line: string, fields = `Host: ${host}\r\n`) => `${line} HTTP/1.1\r\n${fields}\r\n`;
  test.each<[string, () => string, RegExp]>([
    ["no HTTP at all", () => "\0\x01\x02 garbage\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["HTTP/2's preface", () => preface, /^HTTP\/1\.1 400 /],
    ["a field without a colon", heartbeat((head) => head.replace("Host: ", "Host ")), /^HTTP\/1\.1 400 /],
    ["a NUL in a field", heartbeat((head) => head.replace("Host: ", "X: a\0b\r\nHost: ")), /^HTTP\/1\.1 400 /],
    ["two lengths", heartbeat((head) => `${head.slice(0, -2)}Content-Length: 3\r\n\r\n`), /^HTTP\/1\.1 400 /],
    [
      "a length and chunks",
      heartbeat((head) => `${head.slice(0, -2)}Transfer-Encoding: chunked\r\n\r\n`),
      /^HTTP\/1\.1 400 /,
    ],
    ["a negative length", heartbeat((head) => head.replace(/Length: /, "Length: -")), /^HTTP\/1\.1 400 /],
    [
      "a length beyond all numbers",
      heartbeat((head) => head.replace(/Length: /, `Length: ${"9".repeat(30)}`)),
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a chunk of no size",
      () => `${heartbeatHead(host, { "Transfer-Encoding": "chunked" })}xyz\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      "a chunk size beyond all numbers",
      () => `${heartbeatHead(host, { "Transfer-Encoding": "chunked" })}${"f".repeat(20)}\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    ["no Host", heartbeat((head) => head.replace(/Host: .*\r\n/, "")), /^HTTP\/1\.1 400 /],
    [
      "no Host in HTTP/1.0",
      heartbeat((head) => head.replace(/Host: .*\r\n/, "").replace("1.1", "1.0")),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    [
      "a Host with spaces",
      heartbeat((head) => head.replace(/Host: .*\r\n/, "Host: a b\r\n")),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    [
      "an empty Host",
      heartbeat((head) => head.replace(/Host: .*\r\n/, "Host:\r\n")),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    [
      "a Host that is half an address",
      heartbeat((head) => head.replace(/Host: .*\r\n/, "Host: [::1\r\n")),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    [
      "a Host with spaces, by GET",
      () => rawRequest(`GET ${heartbeatPath}`, "Host: a b\r\n"),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    [
      "a Host with a port beyond all ports, by PUT",
      () => rawRequest(`PUT ${heartbeatPath}`, "Host: a:99999\r\n"),
      /^HTTP\/1\.1 400 .*no valid host/s,
    ],
    ["a path that decodes to nothing", () => rawRequest("GET /%ff%zz"), /^HTTP\/1\.1 400 .*"invalid_argument"/s],
    ["a URL without a host", () => rawRequest("GET http:///"), /^HTTP\/1\.1 400 .*"invalid_argument"/s],
    [
      "a path of 12,000 characters",
      () => rawRequest(`GET /${"a".repeat(12_000)}`),
      /^HTTP\/1\.1 404 .{0,400}"unimplemented".{0,300}$/s,
    ],
    ["a path that is a star", () => rawRequest("OPTIONS *"), /^HTTP\/1\.1 404 .*"unimplemented"/s],
    ["slashes", () => rawRequest(`POST ////${heartbeatPath}`), /^HTTP\/1\.1 404 .*"unimplemented"/s],
    ["a path that is not UTF-8", () => rawRequest("GET /\xff\xfe"), /^HTTP\/1\.1 40[04] /],
    ["an unknown method", () => rawRequest(`FROBNICATE ${heartbeatPath}`), /^HTTP\/1\.1 400 /],
    ["TRACE", () => rawRequest(`TRACE ${heartbeatPath}`), /^HTTP\/1\.1 40[45] /],
    ["CONNECT", () => rawRequest("CONNECT a:443"), /^$/],
    [
      "an upgrade",
      () => rawRequest("GET /", `Host: ${host}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n`),
      /^HTTP\/1\.1 404 /,
    ],
    ["an end in mid-body", () => `${heartbeatHead(host, { "Content-Length": 100 })}{`, /^(HTTP\/1\.1 400 .*)?$/s],
  ])("%s", async (_what, makeBytes, expected) => {
    using connection = await open("http/1.1");
    const bytes = Buffer.from(makeBytes(), "latin1");
    if (expected.test("")) await converse(connection, bytes);
    else await connection.send(bytes).then(() => connection.until(expected));
    expect(connection.received).toMatch(expected);
  });

  test("200 requests in one piece are answered one after another", async () => {
    using connection = await open("http/1.1");
    const last = heartbeatHead(host, { "Content-Length": body().length, Connection: "close" }) + body();
    await connection.send(heartbeat((head) => head)().repeat(199) + last);
    await connection.closed;
    expect(connection.received.match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(200);
  });

  test("a client that expects 100-continue is told to go on, and one with another expectation is served", async () => {
    for (const [expectation, answers] of [
      ["100-continue", /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /],
      ["miracles", /^HTTP\/1\.1 200 /],
    ] as const) {
      using connection = await open("http/1.1");
      await connection.send(heartbeatHead(host, { "Content-Length": body().length, Expect: expectation }));
      if (expectation === "100-continue") expect(await connection.until(/\r\n\r\n/)).toMatch(/ 100 /);
      await connection.send(body());
      expect(await connection.until(answers)).toMatch(answers);
    }
  });
});

describe("over HTTP/2, on the wire", () => {
  const opened = Buffer.concat([Buffer.from(preface), settings]);
  // :method POST, :scheme https, :path /, without an authority.
  const headers = "838784";
  test.each<[string, Uint8Array]>([
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
    ["a preface and noise", Buffer.concat([Buffer.from(preface), Buffer.alloc(500, 0xa5)])],
    ["no settings first", Buffer.concat([Buffer.from(preface), frame(1, 5, 1, headers)])],
    ["settings of a broken length", Buffer.concat([Buffer.from(preface), frame(4, 0, 0, "0001")])],
    ["settings with a wrong value", Buffer.concat([Buffer.from(preface), frame(4, 0, 0, "000400000000000500000001")])],
    ["a frame beyond the greatest size", Buffer.concat([opened, Buffer.from("ffffff000000000001", "hex")])],
    ["data on a stream that is not open", Buffer.concat([opened, frame(0, 1, 7, "00")])],
    ["headers on a server's stream", Buffer.concat([opened, frame(1, 5, 2, headers)])],
    ["headers on no stream", Buffer.concat([opened, frame(1, 5, 0, headers)])],
    ["headers that do not decompress", Buffer.concat([opened, frame(1, 5, 1, "ffffffffffffffff")])],
    ["a continuation of nothing", Buffer.concat([opened, frame(9, 4, 1, headers)])],
    ["headers that another frame cuts", Buffer.concat([opened, frame(1, 1, 1, headers), settings])],
    ["a push from a client", Buffer.concat([opened, frame(5, 4, 1, `00000002${headers}`)])],
    ["a window that grows by nothing", Buffer.concat([opened, frame(8, 0, 0, "00000000")])],
    ["a window beyond all windows", Buffer.concat([opened, frame(8, 0, 0, "7fffffff"), frame(8, 0, 0, "7fffffff")])],
    ["a ping of a broken length", Buffer.concat([opened, frame(6, 0, 0, "00")])],
    ["padding beyond the frame", Buffer.concat([opened, frame(1, 0x0d, 1, "ff")])],
    [
      "endless continuations",
      Buffer.concat([opened, frame(1, 1, 1, headers), ...Array(2_000).fill(frame(9, 0, 1, "0001610162"))]),
    ],
    ["20,000 streams, each reset at once", Buffer.concat([opened, ...resetStreams(20_000, headers)])],
  ])("%s closes the connection", async (_what, bytes) => {
    using connection = await open("h2");
    // It must close although this side stays open.
    await connection.send(bytes);
    await connection.closed;
  });

  test.each([
    ["20,000 pings", frame(6, 0, 0, "0000000000000000")],
    ["20,000 settings", settings],
    ["20,000 empty frames of an unknown type", frame(0xfa, 0, 0)],
  ])("%s are answered or hung up on", async (_what, bytes) => {
    using connection = await open("h2");
    await converse(connection, opened, Buffer.concat(Array<Buffer>(20_000).fill(bytes)));
  });
});

function resetStreams(count: number, headers: string): Buffer[] {
  return Array.from({ length: count }, (_, index) => [
    frame(1, 4, 2 * index + 1, headers),
    frame(3, 0, 2 * index + 1, "00000008"),
  ]).flat();
}

describe("in gRPC's frames", () => {
  const empty = new Uint8Array();
  test.each<[string, Uint8Array, string]>([
    ["no message", Buffer.alloc(0), "12"],
    ["half a header", Buffer.from([0, 0]), "3"],
    ["less than the length says", frameMessage(Buffer.from([1]), { length: 9 }), "3"],
    ["a length beyond the limit", frameMessage(empty, { length: 0xffffffff }), "8"],
    ["two messages", Buffer.concat([frameMessage(empty), frameMessage(empty)]), "12"],
    ["the flag of compression without an encoding", frameMessage(empty, { flags: 1 }), "13"],
    ["a message that does not decode", frameMessage(Buffer.from([0x0a, 0x7f])), "3"],
    ["a tag of field 0", frameMessage(Buffer.from([0, 0])), "3"],
  ])("%s", async (_what, bytes, status) => {
    const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(machine.key) });
    for (const type of ["application/grpc", "application/grpc-web+proto"]) {
      const answer = await callHttp2(session, { "content-type": type }, bytes);
      const trailer = answer.body.toString("latin1");
      const said =
        answer.trailers["grpc-status"] ?? answer.headers["grpc-status"] ?? /grpc-status: (\d+)/.exec(trailer)?.[1];
      expect([type, answer.status, said]).toEqual([type, 200, status]);
    }
    session.close();
  });
});

test("uploads that are given up, over both protocols", async () => {
  const session = connectHttp2(server.agentUrl, { ca: server.ca });
  session.on("error", () => {});
  for (let count = 0; count < 25; count++) {
    const connection = await open("http/1.1");
    await connection.send(heartbeatHead(host, { "Content-Length": 1_000 }), "{");
    connection.socket.destroy();
    const answer = callHttp2(session, {}, (stream) => stream.write("{", () => stream.close(8)));
    expect((await answer).status).toBeUndefined();
  }
  session.destroy();
});

test("callers that go away before their answer, over both protocols", async () => {
  for (let count = 0; count < 25; count++) {
    const connection = await open("http/1.1");
    await connection.send(heartbeatHead(host, { "Content-Length": body().length }), body());
    connection.socket.destroy();
    const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(machine.key) });
    session.on("error", () => {});
    await callHttp2(session, {}, (stream) => stream.end(body(), () => session.destroy()));
  }
});

test("300 conversations out of a random generator with a known seed", async () => {
  const random = createRandom(20_251_122);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
  const scramble = (bytes: Buffer) => {
    for (let count = 0; count < 1 + random() * 8; count++) bytes[Math.floor(random() * bytes.length)] = random() * 256;
    return bytes;
  };
  const frameTypes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const types = ["json", "proto", "grpc", "grpc+proto", "grpc-web", "grpc-web+json", "connect+json", "x"];
  const makeHttp1 = () => {
    const content = noise(random() * 200);
    const fields = {
      "Content-Length": content.length,
      "Content-Type": `application/${pick(types)}`,
      "Content-Encoding": pick(["gzip", "br", "identity"]),
    };
    return scramble(Buffer.concat([Buffer.from(heartbeatHead(host, fields)), content]));
  };
  const makeHttp2 = () => {
    const frames = Array.from({ length: 1 + random() * 6 }, () =>
      frame(pick(frameTypes), Math.floor(random() * 256), Math.floor(random() * 6), noise(random() * 60)),
    );
    return Buffer.concat([Buffer.from(preface), settings, ...frames]);
  };
  for (let round = 0; round < 30; round++) {
    const talks = Array.from({ length: 10 }, async (_, index) => {
      const alpn = index % 2 === 0 ? "http/1.1" : "h2";
      const bytes = alpn === "h2" ? makeHttp2() : makeHttp1();
      using connection = await open(alpn);
      await converse(connection, bytes);
    });
    await Promise.all(talks);
  }
});

/** Mulberry32: the same numbers from 0 to 1 in every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("after all that the server holds one connection and little memory, and logged no error", async () => {
  // The bystander's.
  if (process.platform === "linux") await expect.poll(() => countConnections(server.agentUrl)).toBe(1);
  expect((await findResidentBytes(server.pid)) ?? 0).toBeLessThan(700 * 1024 * 1024);
  const errors = server.output.stdout.split("\n").filter((line) => /"level":[56]0/.test(line));
  expect(errors).toEqual([]);
});
