/** A stream that is answered before its caller has sent everything ends for the caller, too. */
import { connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { pino } from "pino";
import { expect, test } from "vitest";
import { defaultLimits } from "../../src/rpc/limits.ts";
import { createListener, prepareClose } from "../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import {
  ClientStreamRequestSchema,
  ConformanceService,
} from "../conformance/gen/connectrpc/conformance/v1/service_pb.js";
import { makeFolder } from "../support/program.ts";
import { callHttp2, frameMessage } from "../support/raw-connection.ts";

/** More than a window of HTTP/2 holds. */
const message = frameMessage(
  toBinary(ClientStreamRequestSchema, create(ClientStreamRequestSchema, { requestData: new Uint8Array(512 * 1024) })),
);

async function readOne(requests: AsyncIterable<unknown>): Promise<void> {
  for await (const _request of requests) return;
}

test.each([
  ["an answer", "with TLS", "0"],
  ["an answer", "in plaintext", "0"],
  ["an error", "with TLS", "9"],
  ["an error", "in plaintext", "9"],
])("%s to a caller who is still sending arrives whole and ends the stream (%s)", async (what, where, status) => {
  const tls = where === "with TLS" ? await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]) : undefined;
  const log = pino({ level: "silent" });
  const listener = createListener({ tls, requestClientCertificate: false, log, limits: defaultLimits });
  await using _closing = { [Symbol.asyncDispose]: prepareClose(listener) };
  await listener.register(fastifyConnectPlugin, {
    routes: (router) =>
      router.service(ConformanceService, {
        async clientStream(requests) {
          await readOne(requests);
          if (what === "an error") throw new ConnectError("enough", Code.FailedPrecondition);
          return {};
        },
      }),
  });
  const session = connect(await listener.listen({ host: "127.0.0.1", port: 0 }), { ca: tls?.ca });
  const path = `/${ConformanceService.typeName}/ClientStream`;
  const answer = await callHttp2(session, { ":path": path, "content-type": "application/grpc" }, (stream) => {
    stream.write(message);
    stream.write(message);
  });
  session.destroy();
  const { "grpc-status": got } = { ...answer.headers, ...answer.trailers };
  expect([answer.status, got, answer.resetCode]).toEqual([200, status, 0]);
});
