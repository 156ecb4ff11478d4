/**
 * Creates connections over which a token may be sent, since the other end of each has first proved that it is the
 * server of a home.
 */
import { once } from "node:events";
import { Agent, type ClientRequestArgs } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createNonce, proofPath, proveServer } from "../../base/server-proof.ts";

/**
 * Code of the error with which a connection fails if the other end is not the server of the home. Nothing secret was
 * sent then.
 */
export const unprovenCode = "SERVER_UNPROVEN";

/** Longest wait for a connection and for the proof on it, in milliseconds. */
const patienceMs = 10_000;
const maxAnswerLength = 4_096;

/**
 * Creates an agent for plain HTTP. On each of its connections, the server must first prove that it has the key of the
 * home.
 */
export function createProvingAgent(key: string): Agent {
  return new ProvingAgent(key);
}

class ProvingAgent extends Agent {
  readonly #key: string;
  constructor(key: string) {
    super({ keepAlive: true });
    this.#key = key;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    connected: (error: Error | null, stream: Duplex) => void = () => {},
  ): undefined {
    const socket = connect({ host: host ?? "127.0.0.1", port: Number(port) });
    proveOtherEnd(socket, this.#key).then(
      () => connected(null, socket),
      (error: Error) => {
        socket.destroy();
        connected(error, socket);
      },
    );
  }
}

async function proveOtherEnd(socket: Socket, key: string): Promise<void> {
  const tooLate = () => socket.destroy(failure("ETIMEDOUT", "the server does not answer"));
  socket.setTimeout(patienceMs, tooLate);
  await once(socket, "connect");
  const { remoteAddress: address = "", remotePort: port } = socket;
  const nonce = createNonce();
  const host = `${address.includes(":") ? `[${address}]` : address}:${port}`;
  socket.write(`GET ${proofPath}${nonce} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const answer = await readAnswer(socket);
  if (answer !== proveServer(key, nonce, { address, port })) throw failure(unprovenCode, "no proof came");
  socket.setTimeout(0, tooLate);
}

/** Returns the body of an HTTP/1.1 answer with a content-length, or undefined for any other answer. */
function readAnswer(socket: Socket): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let received = "";
  const listeners = {
    data: (chunk: Buffer) => {
      received += chunk.toString("latin1");
      const [head = "", body] = received.split("\r\n\r\n", 2);
      const length = body === undefined ? undefined : Number(/^content-length: *(\d+)$/im.exec(head)?.[1]);
      if (received.length > maxAnswerLength || Number.isNaN(length)) resolve(undefined);
      else if (length !== undefined && (body?.length ?? 0) >= length) resolve(body);
    },
    error: reject,
    close: () => reject(failure("ECONNRESET", "the connection was closed")),
  };
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  return promise.finally(() => {
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
  });
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
