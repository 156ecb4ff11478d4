/** What is no HTTP, or no TLS: bytes of any kind, and handshakes that are damaged or end half-way. */
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { Connection } from "../connection.ts";
import { mutate } from "../content/mutate.ts";
import type { Talk } from "../talk.ts";

/** Sends noise, and goes away at some moment. */
export async function sendNoise(talk: Talk): Promise<void> {
  const { random } = talk;
  const door = talk.drawDoor();
  const isAfterHandshake = door.hasTls && random.chance(0.3);
  const alpn = isAfterHandshake ? random.pick(["h2", "http/1.1"] as const) : undefined;
  const changeHeader = (header: Buffer) => mutate(random, header);
  // A damaged header may have the server wait for the rest of it.
  const timeoutMs = random.logBetween(20, 1_000);
  const connection = await Connection.open(talk, door, {
    alpn,
    timeoutMs,
    ...(random.chance(0.7) && { changeHeader }),
  });
  if (random.chance(0.7)) connection.read();
  if (isAfterHandshake && random.chance(0.5)) connection.sendBelowTls(random.bytes(random.below(200)));
  else if (door.hasTls && random.chance(0.7)) await connection.sendInPieces(drawHello(talk));
  else await connection.sendInPieces(random.bytes(random.below(2_000)));
  await connection.until(() => false, random.logBetween(0.1, 20));
  await connection.endSomehow();
}

/** What a client begins its handshake with, cut or damaged. */
function drawHello({ random }: Talk): Buffer {
  const chunks: Buffer[] = [];
  const sink = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  connectTls({ socket: sink, ALPNProtocols: ["h2", "http/1.1"] })
    .on("error", () => {})
    .destroy();
  const hello = Buffer.concat(chunks);
  return random.chance(0.5) ? hello.subarray(0, random.below(hello.length + 1)) : mutate(random, hello);
}
