/**
 * A request that is answered before its caller has sent everything ends for the caller, too, and leaves its connection
 * usable.
 */
import { connect } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { prepareClose } from "../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../src/rpc/limits.ts";
import { createListener } from "../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import {
  ClientStreamRequestSchema,
  ConformanceService,
} from "../conformance/gen/connectrpc/conformance/v1/service_pb.js";
import { makeFolder } from "../support/program.ts";
import { callHttp2, frameMessage, openRaw } from "../support/raw-connection.ts";

const path = `/${ConformanceService.typeName}/ClientStream`;
/** More than a window of HTTP/2 holds, and than Node reads ahead. */
const message = frameMessage(
  toBinary(ClientStreamRequestSchema, create(ClientStreamRequestSchema, { requestData: new Uint8Array(512 * 1024) })),
);

type Handler = (requests: AsyncIterable<unknown>) => Promise<object>;

async function answerFirst(requests: AsyncIterable<unknown>): Promise<object> {
  for await (const _request of requests) break;
  return {};
}

async function refuseFirst(requests: AsyncIterable<unknown>): Promise<object> {
  await answerFirst(requests);
  throw new ConnectError("enough", Code.FailedPrecondition);
}

/** A listener with a client stream; messages larger than `readMaxBytes` are refused. */
async function start(
  hasTls: boolean,
  handler: Handler,
  options: { lingerTimeoutMs?: number; readMaxBytes?: number; requestGate?: () => Promise<void> } = {},
) {
  const { lingerTimeoutMs = defaultLimits.lingerTimeoutMs, readMaxBytes = defaultLimits.maxBodyBytes } = options;
  const tls = hasTls ? await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]) : undefined;
  const limits = { ...defaultLimits, lingerTimeoutMs };
  const log = pino({ level: "silent" });
  const listener = createListener({ tls, requestClientCertificate: false, log, limits });
  const close = prepareClose(listener);
  await listener.register(fastifyConnectPlugin, {
    readMaxBytes,
    ...(options.requestGate && { requestGate: options.requestGate }),
    routes: (router) =>
      router.service(ConformanceService, {
        clientStream: handler,
      }),
  });
  const url = await listener.listen({ host: "127.0.0.1", port: 0 });
  return { url, ca: tls?.ca ?? "", [Symbol.asyncDispose]: close };
}

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_name, hasTls) => {
  test.each([
    ["an answer", answerFirst, "0"],
    ["an error", refuseFirst, "9"],
  ])(
    "%s over HTTP/2 to a caller who is still sending arrives whole and ends the stream",
    async (_what, handler, code) => {
      await using listener = await start(hasTls, handler);
      const session = connect(listener.url, { ca: listener.ca });
      const answer = await callHttp2(session, { ":path": path, "content-type": "application/grpc" }, (stream) => {
        stream.write(message);
        stream.write(message);
      });
      session.destroy();
      const { "grpc-status": got } = { ...answer.headers, ...answer.trailers };
      expect([answer.status, got, answer.resetCode]).toEqual([200, code, 0]);
    },
  );

  test.each([
    ["answered", defaultLimits.maxBodyBytes],
    ["refused", 1024],
  ])("over HTTP/1.1 the rest of a body that was %s is no obstacle to the next request", async (_what, readMaxBytes) => {
    await using listener = await start(hasTls, answerFirst, { readMaxBytes });
    using connection = await openRaw({ url: listener.url, ca: listener.ca });
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${2 * message.length}\r\n\r\n`;
    await connection.send(head, message);
    const one = /^HTTP\/1\.1 200 .*\r\n0\r\n\r\n$/s;
    expect(await connection.until(one)).toMatch(one);
    await connection.send(message, head, message, message);
    const two = /^HTTP\/1\.1 200 .*\r\n0\r\n\r\nHTTP\/1\.1 200 .*\r\n0\r\n\r\n$/s;
    expect(await connection.until(two)).toMatch(two);
  });

  test("over HTTP/1.1 a refused call whose body comes behind its answer leaves its connection to others", async () => {
    const lingerTimeoutMs = 1_000;
    const requestGate = async () => {
      throw new ConnectError("no", Code.PermissionDenied);
    };
    await using listener = await start(hasTls, answerFirst, { lingerTimeoutMs, requestGate });
    using connection = await openRaw({ url: listener.url, ca: listener.ca });
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${message.length}\r\n\r\n`;
    const answers = (count: number) =>
      new RegExp(`^(?:HTTP/1\\.1 200 .*?permission_denied.*?\\r\\n0\\r\\n\\r\\n){${count}}$`, "s");
    await connection.send(head);
    expect(await connection.until(answers(1))).toMatch(answers(1));
    await connection.send(message);
    await delay(lingerTimeoutMs + 500);
    await connection.send(head, message);
    expect(await connection.until(answers(2))).toMatch(answers(2));
  });

  test("over HTTP/1.1 a body that came while the process was held up has come in time", async () => {
    const lingerTimeoutMs = 500;
    const requestGate = async () => {
      throw new ConnectError("no", Code.PermissionDenied);
    };
    await using listener = await start(hasTls, answerFirst, { lingerTimeoutMs, requestGate });
    using connection = await openRaw({ url: listener.url, ca: listener.ca });
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: 5\r\n\r\n`;
    const answers = (count: number) =>
      new RegExp(`^(?:HTTP/1\\.1 200 .*?permission_denied.*?\\r\\n0\\r\\n\\r\\n){${count}}$`, "s");
    await connection.send(head);
    expect(await connection.until(answers(1))).toMatch(answers(1));
    connection.socket.write("later");
    for (const endsAtMs = performance.now() + 2 * lingerTimeoutMs; performance.now() < endsAtMs; );
    await connection.send(head, "later");
    expect(await connection.until(answers(2))).toMatch(answers(2));
  });

  test("over HTTP/1.1 a caller that never sends the rest is cut off", async () => {
    await using listener = await start(hasTls, answerFirst, { lingerTimeoutMs: 50, readMaxBytes: 1024 });
    using connection = await openRaw({ url: listener.url, ca: listener.ca });
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${2 * message.length}\r\n\r\n`;
    await connection.send(head, message);
    await connection.closed;
    expect(connection.received).toMatch(/^HTTP\/1\.1 200 .*\r\n0\r\n\r\n$/s);
  });

  test.each(["http/1.1", "h2"] as const)("for the handler a caller who goes away has canceled (%s)", async (alpn) => {
    const met = Promise.withResolvers<unknown>();
    const receivedFirst = Promise.withResolvers<void>();
    await using listener = await start(hasTls, async (requests) => {
      try {
        for await (const _request of requests) receivedFirst.resolve();
      } catch (error) {
        met.resolve(error);
      }
      return {};
    });
    if (alpn === "h2") {
      const session = connect(listener.url, { ca: listener.ca });
      session
        .request({ ":method": "POST", ":path": path, "content-type": "application/grpc" })
        .on("error", () => {})
        .write(message);
      await receivedFirst.promise;
      session.destroy();
    } else {
      using connection = await openRaw({ url: listener.url, ca: listener.ca });
      const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${2 * message.length}\r\n\r\n`;
      await connection.send(head, message);
      await receivedFirst.promise;
    }
    expect(await met.promise).toMatchObject({ code: Code.Canceled, rawMessage: "the caller disconnected" });
  });
});
