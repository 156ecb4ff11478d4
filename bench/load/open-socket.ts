/** Connections that are read without streams: all into one buffer, whose bytes are looked at before the next read. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/**
 * Opens a connection. `onRead` is given what was read, which is overwritten once it returns; `onClose` is told that the connection is
 * gone.
 */
export type OpenSocket = (onRead: (bytes: Buffer) => void, onClose: () => void) => Promise<Socket>;

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const readBuffer = Buffer.allocUnsafe(64 * 1024);
/** For a connection with its handshake, in milliseconds: many are opened at once. */
const openTimeoutMs = 60_000;

/** TLS with a client certificate, for HTTP/2. Whom it talks to is not judged. */
export function tlsTo({ host, port }: Address, certificate: { cert: string; key: string }): OpenSocket {
  return (onRead, onClose) => {
    const socket = connectTls({
      ...{ host, port, servername: "", ALPNProtocols: ["h2"], rejectUnauthorized: false },
      ...certificate,
      ...readInto(onRead),
    });
    return whenOpen(socket, "secureConnect", onClose);
  };
}

/** Plain TCP. */
export function tcpTo({ host, port }: Address): OpenSocket {
  return (onRead, onClose) => whenOpen(connectTcp({ host, port, ...readInto(onRead) }), "connect", onClose);
}

function readInto(onRead: (bytes: Buffer) => void) {
  const callback = (length: number) => {
    onRead(readBuffer.subarray(0, length));
    // Go on reading.
    return true;
  };
  return { onread: { buffer: readBuffer, callback } };
}

function whenOpen(socket: Socket, event: string, onClose: () => void): Promise<Socket> {
  socket.setNoDelay(true).setTimeout(openTimeoutMs, () => socket.destroy(new Error("no connection in time")));
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.once("close", onClose);
    socket.once(event, () => {
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}
