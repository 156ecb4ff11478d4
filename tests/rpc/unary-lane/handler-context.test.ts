/** What a handler and interceptors are told of a call, and that they cannot tell which way it came. */
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import {
  type HeartbeatHandler,
  startAgentListener,
  type TestListener,
  type TestListenerOptions,
} from "../../support/agent-listener.ts";
import { callHttp2, frameMessage, heartbeatHead, openRaw } from "../../support/raw-connection.ts";

const message = frameMessage(toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId: "m" })));
const types = ["application/grpc", "application/grpc-web", "application/json"] as const;
const bodyOf = (type: string) => (type.includes("grpc") ? message : '{"machineId":"m"}');

describe.each(["on", "off"] as const)("with the lane %s", (unaryLane) => {
  async function start(options: TestListenerOptions): Promise<{ listener: TestListener; session: ClientHttp2Session }> {
    const listener = await startAgentListener({ unaryLane, tls: false, ...options });
    const session = connectHttp2(listener.agentUrl);
    onTestFinished(async () => {
      session.destroy();
      await listener[Symbol.asyncDispose]();
    });
    return { listener, session };
  }

  /** Starts a listener whose handler gives away its context and waits until it is told to answer. */
  async function startWaiting() {
    const contexts: HandlerContext[] = [];
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const heartbeat: HeartbeatHandler = async (_request, context) => {
      contexts.push(context);
      await answered;
      return {};
    };
    const started = await start({ heartbeat });
    const next = async () => {
      await expect.poll(() => contexts).not.toHaveLength(0);
      return contexts.shift() as HandlerContext;
    };
    return { ...started, next, answer };
  }

  test.each(types)("the signal is quiet during a call and aborted behind it (%s)", async (type) => {
    const { session, next, answer } = await startWaiting();
    const call = callHttp2(session, { "content-type": type }, bodyOf(type));
    const { signal, timeoutMs } = await next();
    const heard = vi.fn();
    signal.addEventListener("abort", heard);
    expect([signal.aborted, timeoutMs()]).toEqual([false, undefined]);
    answer();
    expect((await call).status).toBe(200);
    expect(signal.reason).toMatchObject({ name: "AbortError" });
    expect(heard).toHaveBeenCalledTimes(1);
  });

  test("trailers that HTTP cannot carry end their call, and nothing else", async () => {
    let isFirst = true;
    const { session } = await start({
      heartbeat: (_request, { responseTrailer }) => {
        if (isFirst) responseTrailer.set("connection", "close");
        isFirst = false;
        return {};
      },
    });
    const broken = await callHttp2(session, { "content-type": "application/grpc" }, message);
    expect([broken.status, broken.resetCode]).toEqual([200, constants.NGHTTP2_INTERNAL_ERROR]);
    const sound = await callHttp2(session, { "content-type": "application/grpc" }, message);
    expect(sound.trailers["grpc-status"]).toBe("0");
  });

  test("a signal that is looked at behind its call only is aborted as well", async () => {
    const { session, next, answer } = await startWaiting();
    const call = callHttp2(session, { "content-type": "application/grpc" }, message);
    const context = await next();
    answer();
    await call;
    expect(context.signal.aborted).toBe(true);
  });

  test.each([
    ["application/grpc", { "grpc-timeout": "1000m" }],
    ["application/grpc-web", { "grpc-timeout": "1000000u" }],
    ["application/json", { "connect-timeout-ms": "1000" }],
  ])("the deadline counts down, and aborts the signal (%s)", async (type, headers) => {
    const { session, next, answer } = await startWaiting();
    const call = callHttp2(session, { "content-type": type, ...headers }, bodyOf(type));
    const { signal, timeoutMs } = await next();
    const left = timeoutMs() ?? Number.NaN;
    expect(left).toBeLessThanOrEqual(1000);
    await expect.poll(() => signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: Code.DeadlineExceeded, rawMessage: "the operation timed out" });
    expect(timeoutMs()).toBeLessThan(left);
    // A handler that answers all the same is heard.
    answer();
    expect((await call).status).toBe(200);
  });

  test("a deadline of nothing has passed before the handler begins", async () => {
    const seen: boolean[] = [];
    const { session } = await start({
      heartbeat: (_request, { signal }) => {
        seen.push(signal.aborted);
        throw signal.reason;
      },
    });
    const answer = await callHttp2(session, { "connect-timeout-ms": "0" }, "{}");
    expect([answer.status, seen]).toEqual([504, [true]]);
  });

  test.each([
    [8, Code.Canceled, "CANCEL (0x8)"],
    [7, Code.Unavailable, "REFUSED_STREAM (0x7)"],
    [2, Code.Internal, "INTERNAL_ERROR (0x2)"],
  ])("a stream that its caller resets with code %d aborts the signal with %d", async (resetCode, code, name) => {
    const { session, next, answer } = await startWaiting();
    const call = callHttp2(session, { "content-type": "application/grpc" }, (stream) => {
      stream.end(message);
      void next().then(({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve(signal.reason));
        stream.close(resetCode);
      });
    });
    const aborted = Promise.withResolvers<unknown>();
    expect(await aborted.promise).toMatchObject({ code, rawMessage: `http/2 stream closed with error code ${name}` });
    await call;
    answer();
  });

  test.each(["http/1.1", "h2"] as const)("a connection that breaks aborts the signal (%s)", async (alpn) => {
    const { listener, session, next, answer } = await startWaiting();
    if (alpn === "h2") void callHttp2(session, {}, "{}");
    else {
      const connection = await openRaw({ url: listener.agentUrl });
      await connection.send(heartbeatHead(listener.host, { "Content-Length": 2 }), "{}");
      void next().then((context) => {
        contexts.resolve(context);
        connection.socket.resetAndDestroy();
      });
    }
    const contexts = Promise.withResolvers<HandlerContext>();
    if (alpn === "h2") {
      contexts.resolve(await next());
      session.on("error", () => {});
      session.destroy();
    }
    const { signal } = await contexts.promise;
    await expect.poll(() => signal.aborted).toBe(true);
    answer();
  });

  test("copies of the context and of an interceptor's request have everything that the originals have", async () => {
    const seen: unknown[] = [];
    const copying: Interceptor = (next) => async (request) => {
      const copy = { ...request };
      seen.push(Object.keys(copy).sort(), copy.signal.aborted);
      return await next(copy);
    };
    const { session } = await start({
      interceptors: [copying],
      heartbeat: (_request, context) => {
        const { signal, requestHeader, ...rest } = { ...context };
        seen.push(signal.aborted, requestHeader.get("x-a"), rest.protocolName, rest.requestMethod);
        return {};
      },
    });
    await callHttp2(session, { "x-a": "b" }, "{}");
    expect(seen).toEqual([
      ["contextValues", "header", "message", "method", "requestMethod", "service", "signal", "stream", "url"],
      false,
      false,
      "b",
      "connect",
      "POST",
    ]);
  });

  test("interceptors see each other's changes, outermost first, and the handler sees them all", async () => {
    const key = createContextKey("");
    const note =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        request.contextValues.set(key, `${request.contextValues.get(key)}>${name}`);
        request.header.append("x-way", name);
        const response = await next(name === "b" ? { ...request, header: new Headers([["x-other", "yes"]]) } : request);
        response.header.append("x-back", name);
        return name === "b" ? { ...response, trailer: new Headers([["x-last", "yes"]]) } : response;
      };
    const { session } = await start({
      interceptors: [note("a"), note("b"), note("c")],
      authenticate: (_connection, values) => () => void values.set(key, "start"),
      heartbeat: (_request, { values, requestHeader, responseHeader, responseTrailer }) => {
        responseHeader.set("x-saw", `${values.get(key)} ${requestHeader.get("x-way")} ${requestHeader.get("x-other")}`);
        responseTrailer.set("x-dropped", "yes");
        return {};
      },
    });
    const { headers, trailers } = await callHttp2(session, { "content-type": "application/grpc" }, message);
    expect(headers).toMatchObject({ "x-saw": "start>a>b>c c yes", "x-back": "c, b, a" });
    expect(trailers).toMatchObject({ "x-last": "yes" });
    // Connect's handler loses some of the old trailers then and keeps others.
    if (unaryLane === "on") expect(Object.entries(trailers).flat()).toEqual(["x-last", "yes", "grpc-status", "0"]);
  });

  test("an interceptor can answer by itself, and refuse what the handler did", async () => {
    const refuse: Interceptor = (next) => async (request) => {
      const response = await next(request);
      if (request.header.has("x-refuse")) throw new ConnectError("no", Code.PermissionDenied);
      return response;
    };
    const { session } = await start({ interceptors: [refuse] });
    expect((await callHttp2(session, {}, "{}")).status).toBe(200);
    expect((await callHttp2(session, { "x-refuse": "" }, "{}")).status).toBe(403);
  });

  test("whom authentication refuses, in either half, reads nothing of a handler", async () => {
    const handler = vi.fn(() => ({}));
    const refusal = (name: string) => new ConnectError(name, Code.Unauthenticated, { "x-half": name });
    const { session } = await start({
      heartbeat: handler,
      authenticate: (connection, values) => {
        expect(connection.id).toBe(connection.id);
        values.set(createContextKey(""), "x");
        return async (call) => {
          const [half] = [call.headers["x-half"]].flat();
          expect([call.method, call.path, call.scheme, Buffer.from(call.body).toString()]).toEqual([
            "POST",
            "/cloud.bmaas.server.api.AgentCallback/Heartbeat",
            "http",
            '{"machineId":"m"}',
          ]);
          if (half === "second") throw refusal(half);
        };
      },
    });
    const refused = await callHttp2(session, { "x-half": "second" }, '{"machineId":"m"}');
    expect([refused.status, refused.headers["x-half"], handler.mock.calls.length]).toEqual([401, "second", 0]);
    expect((await callHttp2(session, {}, '{"machineId":"m"}')).status).toBe(200);
    const early = await start({
      authenticate: () => {
        throw refusal("first");
      },
    });
    // It is answered although its body never ends.
    const answer = await callHttp2(early.session, {}, (stream) => stream.write("{"));
    expect([answer.status, answer.headers["x-half"]]).toEqual([401, "first"]);
  });

  test("a fast call overtakes a slow one on its connection over HTTP/2, and waits for it over HTTP/1.1", async () => {
    const slow = Promise.withResolvers<void>();
    const { listener, session } = await start({
      heartbeat: async ({ machineId }, { responseHeader }) => {
        responseHeader.set("x-machine", machineId);
        if (machineId === "slow") await slow.promise;
        return {};
      },
    });
    const order: unknown[] = [];
    const call = (machineId: string) =>
      callHttp2(session, {}, JSON.stringify({ machineId })).then(({ headers }) => order.push(headers["x-machine"]));
    const first = call("slow");
    await call("fast");
    using connection = await openRaw({ url: listener.agentUrl });
    const request = (machineId: string) => {
      const body = JSON.stringify({ machineId });
      return heartbeatHead(listener.host, { "Content-Length": body.length }) + body;
    };
    await connection.send(request("slow") + request("fast"));
    slow.resolve();
    await first;
    expect(order).toEqual(["fast", "slow"]);
    expect(await connection.until(/x-machine: fast.*\{\}$/s)).toMatch(/x-machine: slow.*x-machine: fast/s);
  });
});
