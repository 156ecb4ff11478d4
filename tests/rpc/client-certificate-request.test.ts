/** What the handshake says when it asks for a client certificate: it decides whether stock clients send one. */
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { startServerWithDatabase } from "../support/server.ts";

const { server } = await startServerWithDatabase();

/** All that the server sends in a handshake of TLS 1.2, whose messages are not encrypted up to its end. */
async function recordHandshake(url: string): Promise<Buffer> {
  const sent: Buffer[] = [];
  const listener = new URL(url);
  const proxy = createServer((client) => {
    const upstream = connectTcp(Number(listener.port), listener.hostname);
    upstream.on("data", (chunk: Buffer) => sent.push(chunk));
    client.pipe(upstream).pipe(client);
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const socket = connectTls({ host: "127.0.0.1", port, ca: server.ca, maxVersion: "TLSv1.2" });
  await once(socket, "secureConnect");
  socket.destroy();
  proxy.close();
  return Buffer.concat(sent);
}

/** The body of the first handshake message of a type (RFC 5246 sections 6.2.1 and 7.4). */
function findHandshakeMessage(records: Buffer, type: number): Buffer | undefined {
  const handshakeRecord = 22;
  const fragments: Buffer[] = [];
  for (
    let at = 0;
    at + 5 <= records.length && records[at] === handshakeRecord;
    at += 5 + records.readUInt16BE(at + 3)
  ) {
    fragments.push(records.subarray(at + 5, at + 5 + records.readUInt16BE(at + 3)));
  }
  const messages = Buffer.concat(fragments);
  for (let at = 0; at + 4 <= messages.length; at += 4 + messages.readUIntBE(at + 1, 3)) {
    if (messages[at] === type) return messages.subarray(at + 4, at + 4 + messages.readUIntBE(at + 1, 3));
  }
  return undefined;
}

test("a certificate is asked for, without naming CAs: a client with a self-signed one would send none", async () => {
  const request = findHandshakeMessage(await recordHandshake(server.agentUrl), 13);
  if (request === undefined) throw new Error("no certificate was asked for");
  // RFC 5246 section 7.4.4: certificate types, signature algorithms, distinguished names of CAs.
  const algorithmsAt = 1 + request.readUInt8(0);
  const authoritiesAt = algorithmsAt + 2 + request.readUInt16BE(algorithmsAt);
  expect(request.subarray(authoritiesAt)).toEqual(Buffer.from([0, 0]));
});
