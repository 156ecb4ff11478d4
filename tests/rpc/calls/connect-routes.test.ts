/** Answers of Connect's handlers on connections that fail. */
import { setTimeout as delay } from "node:timers/promises";
import { createContextValues } from "@connectrpc/connect";
import { pino } from "pino";
import { expect, test } from "vitest";
import { connectRoutes } from "../../../src/rpc/calls/connect-routes.ts";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import { ConformanceService } from "../../conformance/gen/connectrpc/conformance/v1/service_pb.js";
import { openTcp } from "../../support/raw-connection.ts";

const pieceBytes = 1_000_000;
const request = Buffer.from("\0\0\0\0\x02{}");
const head = `POST /${ConformanceService.typeName}/ServerStream HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\n`;

test("a caller that resets its connection while it is sent an answer leaves no error in the log", async () => {
  const logged: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => void logged.push(line) });
  const listener = createListener({ tls: undefined, requestClientCertificate: false, log, limits: defaultLimits });
  const close = prepareClose(listener);
  const ended = Promise.withResolvers<void>();
  await listener.register(connectRoutes, {
    contextValues: () => createContextValues(),
    limits: defaultLimits,
    log,
    routes: (router) =>
      router.service(ConformanceService, {
        async *serverStream() {
          try {
            for (;;) yield { payload: { data: new Uint8Array(pieceBytes) } };
          } finally {
            ended.resolve();
          }
        },
      }),
  });
  const url = await listener.listen({ host: "127.0.0.1", port: 0 });
  using connection = await openTcp(url);
  connection.socket.pause();
  await connection.send(`${head}Content-Length: ${request.length}\r\n\r\n`, request);
  // The system takes no more, and the server waits.
  await delay(500);
  connection.reset();
  await ended.promise;
  await delay(100);
  expect(logged).toEqual([]);
  await close();
});
