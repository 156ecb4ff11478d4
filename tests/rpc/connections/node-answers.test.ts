/** What Node would answer by itself is answered here, over HTTP/2 with and without TLS. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type ServerHttp2Stream } from "node:http2";
import { describe, expect, test } from "vitest";
import { prepareClose } from "../../../src/rpc/connections/close-listener.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { createListener } from "../../../src/rpc/listener.ts";
import { ensureDevelopmentTls } from "../../../src/tls/development-ca.ts";
import { makeFolder } from "../../support/program.ts";
import { openRaw, type RawConnection } from "../../support/raw-connection.ts";
import { createCollectingLog, type LogLine } from "../../support/server.ts";

type Pair = [IncomingMessage, ServerResponse & { readonly stream: ServerHttp2Stream }];

/** A listener that answers on /, and a client's connection to it; `seen` are the requests that were served. */
async function start(hasTls: boolean) {
  const tls = hasTls ? await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]) : undefined;
  const logged: LogLine[] = [];
  const log = createCollectingLog(logged);
  const listener = createListener({ tls, requestClientCertificate: false, log, limits: defaultLimits });
  const close = prepareClose(listener);
  const seen: Pair[] = [];
  // The next `count` calls wait to be released, one after the other.
  const waiting: (() => void)[] = [];
  const hold = { count: 0, release: () => waiting.shift()?.() };
  listener.post("/", async ({ raw }, reply) => {
    seen.push([raw, reply.raw as Pair[1]]);
    if (hold.count-- > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    // A Buffer, which Node sends apart from the head.
    return Buffer.from("served");
  });
  const url = await listener.listen({ host: "127.0.0.1", port: 0 });
  const session = connect(url, { ca: tls?.ca ?? "" });
  const stop = async () => {
    session.destroy();
    await close();
  };
  return { server: listener.server, url, ca: tls?.ca ?? "", session, seen, hold, logged, [Symbol.asyncDispose]: stop };
}

function post(session: ClientHttp2Session, fields: Record<string, string> = {}): ClientHttp2Stream {
  return session.request({ ":method": "POST", ":path": "/", ...fields });
}

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_name, hasTls) => {
  test("a caller that waits to be told to go on is told so, and served", async () => {
    await using listener = await start(hasTls);
    const stream = post(listener.session, { expect: "100-continue" });
    await once(stream, "continue");
    stream.end();
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(200);
  });

  test("over HTTP/1.1, a caller is told before the answer, and never within it", async () => {
    await using listener = await start(hasTls);
    const { url, ca, hold } = listener;
    const post = (fields = "") => `POST / HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${fields}Content-Length: 0\r\n\r\n`;
    const expecting = post("Expect: 100-continue\r\n");
    const readStatuses = ({ received }: RawConnection) =>
      received.split("served").map((answer) => answer.match(/(?<=HTTP\/1\.1 )\d{3}/g)?.join(" "));

    using early = await openRaw({ url, ca });
    hold.count = 1;
    await early.send(post(), expecting);
    // The second answer is there before its turn.
    await expect.poll(() => listener.seen[1]?.[1].headersSent).toBe(true);
    hold.release();
    await early.closed;
    expect(readStatuses(early)).toEqual(["200", "200", undefined]);

    using late = await openRaw({ url, ca });
    hold.count = 2;
    await late.send(post(), expecting);
    await expect.poll(() => listener.seen.length).toBe(4);
    hold.release();
    // It is the second one's turn, and its answer is not there.
    await expect.poll(() => late.received).toMatch(/100 Continue\r\n\r\n$/);
    hold.release();
    await expect.poll(() => readStatuses(late)).toEqual(["200", "100 200", undefined]);
    await late.send(expecting);
    await expect.poll(() => readStatuses(late)).toEqual(["200", "100 200", "100 200", undefined]);
  });

  test("a caller with another expectation is served", async () => {
    await using listener = await start(hasTls);
    const [headers] = await once(post(listener.session, { expect: "a miracle" }).end(), "response");
    expect(headers[":status"]).toBe(200);
  });

  test("a caller that has gone is told nothing, and not served", async () => {
    await using listener = await start(hasTls);
    await once(post(listener.session).end().resume(), "close");
    const [[request, response] = expect.unreachable("nothing was served")] = listener.seen;
    await expect.poll(() => response.stream.closed).toBe(true);
    expect(listener.server.emit("checkContinue", request, response)).toBe(true);
    expect(listener.seen).toHaveLength(1);
  });

  test("a connection that the system cannot give the server is told, and costs nobody else his", async () => {
    await using listener = await start(hasTls);
    listener.server.emit("error", Object.assign(new Error("accept"), { code: "ENOBUFS" }));
    expect(listener.logged).toMatchObject([{ level: 50, msg: "could not accept a connection" }]);
    const [headers] = await once(post(listener.session).end(), "response");
    expect(headers[":status"]).toBe(200);
  });

  test("CONNECT is refused, and its stream ends", async () => {
    await using listener = await start(hasTls);
    const stream = listener.session.request({ ":method": "CONNECT", ":authority": "elsewhere:443" });
    const [headers] = await once(stream, "response");
    await once(stream.resume(), "close");
    expect([headers[":status"], stream.rstCode]).toEqual([405, 0]);
  });
});
