/** Streams whose messages many callers share, beside the same streams when Connect writes every message itself. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { pino } from "pino";
import { expect, test } from "vitest";
import { authorizeAgainKey } from "../../../src/admin/authorization/authorize.ts";
import { createStreamAuthorization } from "../../../src/admin/authorization/authorize-streams.ts";
import { connectRoutes } from "../../../src/rpc/calls/connect-routes.ts";
import { sendShared } from "../../../src/rpc/calls/shared-messages.ts";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import {
  ConformanceService,
  type ServerStreamResponse,
  ServerStreamResponseSchema,
} from "../../conformance/gen/connectrpc/conformance/v1/service_pb.js";
import { openRaw } from "../../support/raw-connection.ts";
import { waitUntil } from "../../support/wait.ts";

type Batches = () => AsyncIterable<readonly ServerStreamResponse[]>;

const path = `/${ConformanceService.typeName}/ServerStream`;
const jsonRequest = Buffer.from("\0\0\0\0\x02{}");
const protoRequest = Buffer.alloc(5);

/** A listener whose stream sends batches, each message directly unless Connect `isPlain`. */
async function serve(batches: Batches, { isPlain = false, interceptors = [] as Interceptor[] } = {}) {
  const logged: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => void logged.push(line) });
  const common = { log, limits: defaultLimits };
  const listener = createListener({ ...common, tls: undefined, requestClientCertificate: false });
  const close = prepareClose(listener);
  await listener.register(connectRoutes, {
    ...common,
    interceptors,
    contextValues: () => createContextValues().set(authorizeAgainKey, refuse),
    routes: (router) =>
      router.service(ConformanceService, {
        async *serverStream(_request, context: HandlerContext) {
          if (!isPlain) yield* sendShared(context, batches(), (batch) => batch);
          else for await (const batch of batches()) yield* batch;
        },
      }),
  });
  const url = await listener.listen({ host: "127.0.0.1", port: 0 });
  return { url, logged, [Symbol.asyncDispose]: close };
}

async function refuse(): Promise<void> {
  throw new ConnectError("gone", Code.PermissionDenied);
}

function say(data: string): ServerStreamResponse {
  return create(ServerStreamResponseSchema, { payload: { data: Buffer.from(data) } });
}

/** Calls the stream, and returns all that its answer consists of. */
async function call(url: string, type: string, encoding: string) {
  const session = connectHttp2(url);
  try {
    const stream = session.request({
      ...{ ":method": "POST", ":path": path, "content-type": type, te: "trailers" },
      ...{ "connect-accept-encoding": encoding, "grpc-accept-encoding": encoding },
    });
    stream.end(type.endsWith("json") ? jsonRequest : protoRequest);
    let trailers = {};
    stream.once("trailers", (fields) => {
      trailers = { ...fields };
    });
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => void pieces.push(piece));
    const [[{ date: _, ...head }]] = await Promise.all([once(stream, "response"), once(stream, "close")]);
    return { head: { ...head }, trailers, body: Buffer.concat(pieces).toString("latin1") };
  } finally {
    session.destroy();
  }
}

const formats = ["connect+proto", "connect+json", "grpc+proto", "grpc+json", "grpc-web+proto", "grpc-web+json"].flatMap(
  (type) => ["identity", "gzip", "br"].map((encoding) => [`application/${type}`, encoding] as const),
);

test.each(formats)("sends the bytes that Connect sends as %s, %s", async (type, encoding) => {
  const messages = [say("first"), say("second"), say("long ".repeat(1_000)), say("last")];
  for (const error of [undefined, new ConnectError("no more", Code.Unavailable, { "retry-after": "5" })]) {
    const batches = async function* () {
      yield messages.slice(0, 2);
      yield [];
      yield messages.slice(2);
      if (error !== undefined) throw error;
    };
    await using shared = await serve(batches);
    await using plain = await serve(batches, { isPlain: true });
    const expected = await call(plain.url, type, encoding);
    expect(expected.body.length).toBeGreaterThan(50);
    expect(expected.body.includes("long long")).toBe(encoding === "identity" && type.endsWith("proto"));
    const answers = [call(shared.url, type, encoding), call(shared.url, type, encoding)];
    expect(await Promise.all(answers)).toEqual([expected, expected]);
    expect(shared.logged).toEqual([]);
  }
});

test("encodes a message once for all callers of one format", async () => {
  const message = say("shared");
  const { payload } = message;
  let reads = 0;
  Object.defineProperty(message, "payload", {
    enumerable: true,
    get: () => {
      reads++;
      return payload;
    },
  });
  await using shared = await serve(async function* () {
    yield [say("first")];
    yield [message];
  });
  const callAs = async (type: string) => {
    reads = 0;
    await call(shared.url, `application/${type}`, "identity");
    return reads;
  };
  expect(await callAs("connect+proto")).toBeGreaterThan(0);
  expect(await callAs("connect+proto")).toBe(0);
  expect(await callAs("grpc+proto")).toBe(0);
  expect(await callAs("connect+json")).toBeGreaterThan(0);
  expect(await callAs("grpc-web+json")).toBe(0);
});

test("takes no more from the source than a caller reads, and goes on when it reads again", async () => {
  const piece = say("x".repeat(1_000_000));
  const count = 30;
  let taken = 0;
  await using shared = await serve(async function* () {
    for (; taken < count; taken++) yield [piece];
  });
  using connection = await openRaw({ url: shared.url });
  connection.socket.pause();
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\n`;
  await connection.send(`${head}Content-Length: ${protoRequest.length}\r\n\r\n`, protoRequest);
  await waitUntil("the connection is full", async () => {
    const before = taken;
    await delay(300);
    return before > 0 && taken === before;
  });
  expect(taken).toBeLessThan(count / 2);
  connection.socket.resume();
  await waitUntil("the answer ends", () => connection.received.endsWith("\r\n0\r\n\r\n"));
  expect(taken).toBe(count);
  expect(connection.received.length).toBeGreaterThan(count * 1_000_000);
});

test("ends the source when a caller resets its connection that has no room", async () => {
  const piece = say("x".repeat(1_000_000));
  let [begun, ended] = [0, 0];
  await using shared = await serve(async function* () {
    begun++;
    try {
      for (;;) yield [piece];
    } finally {
      ended++;
    }
  });
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\n`;
  for (let opened = 1; opened <= 3; opened++) {
    using connection = await openRaw({ url: shared.url });
    connection.socket.pause();
    await connection.send(`${head}Content-Length: ${protoRequest.length}\r\n\r\n`, protoRequest);
    await expect.poll(() => begun).toBe(opened);
    await delay(300);
    connection.reset();
  }
  await expect.poll(() => ended).toBe(3);
  expect(shared.logged).toEqual([]);
});

test.each(["connect+json", "grpc+json", "grpc-web+json"])(
  "sends nothing after the end of a stream by %s",
  async (type) => {
    let sent = 0;
    await using shared = await serve(
      async function* () {
        for (;;) {
          // Both at the same moment: the permission is withdrawn, and there is something to send.
          yield [say(`${sent++}`)];
          await delay(1);
        }
      },
      { interceptors: [createStreamAuthorization(100)] },
    );
    const calls = Array.from({ length: 20 }, () => call(shared.url, `application/${type}`, "identity"));
    for (const { body, trailers } of await Promise.all(calls)) {
      const last = body.slice(body.lastIndexOf("payload"));
      if (type === "grpc+json") expect(trailers).toMatchObject({ "grpc-status": `${Code.PermissionDenied}` });
      else expect(last).toMatch(type === "connect+json" ? /permission_denied[^{]*\}\}$/ : /grpc-status: 7\r\n/);
    }
    expect(sent).toBeGreaterThan(20);
    expect(shared.logged).toEqual([]);
  },
);
