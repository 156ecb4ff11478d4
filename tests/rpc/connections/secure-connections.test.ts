/**
 * TLS connections that do not go as they should: a request that comes while an answer is still going out, in pieces,
 * and a handshake that ends too late.
 */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import { pino } from "pino";
import { expect, test } from "vitest";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { startAgentListener } from "../../support/agent-listener.ts";
import { makeFolder } from "../../support/program.ts";

/** Too much for the buffers between server and client. */
const large = Buffer.alloc(16 * 1024 * 1024, "a");

/** What TLS writes goes through `socket`, but between `hold` and `release`, which sends all of it at once. */
function createHolder(socket: Socket) {
  let held: Buffer[] | undefined;
  const stream = new Duplex({
    read: () => void socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (held === undefined) socket.write(chunk, done);
      else done(void held.push(chunk));
    },
  });
  socket.on("data", (data) => stream.push(data) || socket.pause()).on("end", () => stream.push(null));
  return {
    stream,
    hold: () => {
      held = [];
    },
    release: () => {
      socket.write(Buffer.concat(held ?? []));
      held = undefined;
    },
  };
}

test("a request in two records behind an answer that the client has not read yet costs neither", async () => {
  const tls = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const log = pino({ level: "silent" });
  const listener = createListener({ tls, requestClientCertificate: false, log, limits: defaultLimits });
  await using _closing = { [Symbol.asyncDispose]: prepareClose(listener) };
  listener.addContentTypeParser("text/plain", (_request, payload, done) => payload.on("end", done).resume());
  listener.get("/large", async () => large);
  listener.post("/small", async () => "done");
  const { port } = new URL(await listener.listen({ host: "127.0.0.1", port: 0 }));
  const holder = createHolder(connectTcp(Number(port), "127.0.0.1"));
  const client = connect({ socket: holder.stream, ca: tls.ca, host: "127.0.0.1", ALPNProtocols: ["http/1.1"] });
  await once(client, "secureConnect");
  client.write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(client, "readable");
  holder.hold();
  client.write(
    "POST /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n",
  );
  await new Promise((written) => client.write("b", written));
  holder.release();
  const received = Buffer.concat(await client.toArray()).toString("latin1");
  expect(received.length).toBeGreaterThan(large.length);
  expect(received.slice(-4)).toBe("done");
});

test("a handshake that would end after its time is cut without an answer", async () => {
  const limits = { handshakeTimeoutMs: 200, lingerTimeoutMs: 10_000 };
  await using listener = await startAgentListener({ limits });
  const socket = connectTcp(Number(new URL(listener.agentUrl).port), "127.0.0.1").on("error", () => {});
  const closed = once(socket, "close");
  const holder = createHolder(socket);
  const client = connect({ socket: holder.stream, ca: listener.ca, host: "127.0.0.1" }).on("error", () => {});
  let received = "";
  client.on("data", (data) => {
    received += data;
  });
  // The server's part of the handshake has come, and the client's last message stays here.
  client.once("keylog", holder.hold);
  await once(client, "secureConnect");
  await delay(500);
  holder.release();
  await closed;
  expect(received).toBe("");
});
