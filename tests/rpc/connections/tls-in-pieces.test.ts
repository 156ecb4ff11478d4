/** The beginning of a TLS connection, which its client says before TLS is there to listen. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { beginTlsInPieces } from "../../../src/rpc/connections/tls-in-pieces.ts";
import { defaultLimits } from "../../../src/rpc/limits.ts";
import { startAgentListener } from "../../support/agent-listener.ts";
import { heartbeatHead, openRaw } from "../../support/raw-connection.ts";

test("what a client says first is handed on whole, and no piece of it fills the buffer that TLS begins with", async () => {
  const server = createServer();
  const pieces = new Promise<Buffer[]>((resolve) => {
    server.on("connection", (socket: Socket) => resolve([...readAll(socket)]));
  });
  beginTlsInPieces(server, defaultLimits);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const said = randomBytes(5_000);
  const client = connectTcp((server.address() as AddressInfo).port, "127.0.0.1");
  client.write(said);
  const received = Buffer.concat(await pieces);
  client.destroy();
  server.close();
  expect(received.length).toBeGreaterThan(2_000);
  expect(received).toEqual(said.subarray(0, received.length));
  expect((await pieces).filter(({ length }) => length >= 1024)).toEqual([]);
});

function* readAll(socket: Socket): Generator<Buffer> {
  for (let piece = socket.read(); piece !== null; piece = socket.read()) yield piece;
}

test("a handshake that comes byte by byte is served", async () => {
  await using listener = await startAgentListener();
  const socket = connectTcp(Number(new URL(listener.agentUrl).port), "127.0.0.1").setNoDelay(true);
  const stream = new Duplex({
    read: () => {},
    write(chunk: Buffer, _encoding, done) {
      const bytes = chunk.values();
      const writeNext = (): void => {
        const { value, done: isWritten } = bytes.next();
        if (isWritten) done();
        else socket.write(Buffer.of(value), () => setImmediate(writeNext));
      };
      writeNext();
    },
  });
  socket.on("data", (data) => stream.push(data)).on("end", () => stream.push(null));
  const client = connectTls({ socket: stream, ca: listener.ca, host: "127.0.0.1", ALPNProtocols: ["http/1.1"] });
  await once(client, "secureConnect");
  client.write(`${heartbeatHead(listener.host, { "Content-Length": 2 })}{}`);
  const [answer] = (await once(client, "data")) as [Buffer];
  expect(answer.toString("latin1")).toMatch(/^HTTP\/1\.1 200 /);
  socket.destroy();
});

test("clients that go before they have said anything leave nothing behind, whichever way they go", async () => {
  await using listener = await startAgentListener();
  const sockets = Array.from({ length: 3 }, () => connectTcp(Number(new URL(listener.agentUrl).port), "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  await expect.poll(() => listener.countConnections()).toBe(3);
  const [first, second, third] = sockets as [Socket, Socket, Socket];
  first.destroy();
  second.resetAndDestroy();
  third.end();
  await expect.poll(() => listener.countConnections()).toBe(0);
  using connection = await openRaw({ url: listener.agentUrl, ca: listener.ca });
  await connection.send(`${heartbeatHead(listener.host, { "Content-Length": 2 })}{}`);
  expect(await connection.until(/\{\}$/)).toMatch(/^HTTP\/1\.1 200 /);
});
