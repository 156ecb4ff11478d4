/** Answers of Connect's handlers on connections that fail. */
import { setTimeout as delay } from "node:timers/promises";
import { createContextValues } from "@connectrpc/connect";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { connectRoutes } from "../../../src/rpc/calls/connect-routes.ts";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits, type ListenerLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { ConformanceService } from "../../conformance/gen/connectrpc/conformance/v1/service_pb.js";
import { makeFolder } from "../../support/program.ts";
import { openRaw } from "../../support/raw-connection.ts";

const pieceBytes = 1_000_000;
const request = Buffer.from("\0\0\0\0\x02{}");
const head = `POST /${ConformanceService.typeName}/ServerStream HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\n`;

/** A listener whose handler answers for as long as its caller takes it. */
async function start(hasTls: boolean, limits: Partial<ListenerLimits> = {}) {
  const logged: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => void logged.push(line) });
  const tls = hasTls ? await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]) : undefined;
  const common = { log, limits: { ...defaultLimits, ...limits } };
  const listener = createListener({ ...common, tls, requestClientCertificate: false });
  const close = prepareClose(listener);
  const handlers = { begun: 0, ended: 0 };
  await listener.register(connectRoutes, {
    ...common,
    contextValues: () => createContextValues(),
    routes: (router) =>
      router.service(ConformanceService, {
        async *serverStream() {
          handlers.begun++;
          try {
            for (;;) yield { payload: { data: new Uint8Array(pieceBytes) } };
          } finally {
            handlers.ended++;
          }
        },
      }),
  });
  const url = await listener.listen({ host: "127.0.0.1", port: 0 });
  return { url, ca: tls?.ca ?? "", logged, handlers, [Symbol.asyncDispose]: close };
}

/** Calls it, and takes nothing of the answer. */
async function call({ url, ca }: { url: string; ca: string }) {
  const connection = await openRaw({ url, ca });
  connection.socket.pause();
  await connection.send(`${head}Content-Length: ${request.length}\r\n\r\n`, request);
  return connection;
}

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_name, hasTls) => {
  test("a caller that resets its connection while it is sent an answer leaves no error in the log", async () => {
    await using listener = await start(hasTls);
    for (let begun = 1; begun <= 5; begun++) {
      using connection = await call(listener);
      await expect.poll(() => listener.handlers.begun).toBe(begun);
      // The system takes no more by then, and the server waits.
      await delay(300);
      connection.reset();
    }
    await expect.poll(() => listener.handlers).toEqual({ begun: 5, ended: 5 });
    expect(listener.logged).toEqual([]);
  });

  test("the handler of an answer that is cut for lack of time does not wait for room in it any more", async () => {
    await using listener = await start(hasTls, { answerTimeoutMs: 200, checkIntervalMs: 50 });
    using _connection = await call(listener);
    await expect.poll(() => listener.handlers).toEqual({ begun: 1, ended: 1 });
    expect(listener.logged).toEqual([]);
  });
});
