/**
 * Opens connections that are read without streams: all of them read into one buffer, which is processed before the next
 * read.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/**
 * Opens a connection. `onRead` gets the bytes of a read, which are overwritten after it returns. `onClose` is called
 * when the connection is closed.
 */
export type OpenSocket = (onRead: (bytes: Buffer) => void, onClose: () => void) => Promise<Socket>;

/** Address of a server. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const readBuffer = Buffer.allocUnsafe(64 * 1024);
/**
 * Longest time to open a connection with its handshake, in milliseconds. It is long because many are opened at once.
 */
const openTimeoutMs = 60_000;

/** Opens TLS connections for HTTP/2 with a client certificate, without verifying the server. */
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

/** Opens TCP connections. */
export function tcpTo({ host, port }: Address): OpenSocket {
  return (onRead, onClose) => whenOpen(connectTcp({ host, port, ...readInto(onRead) }), "connect", onClose);
}

function readInto(onRead: (bytes: Buffer) => void) {
  const callback = (length: number) => {
    onRead(readBuffer.subarray(0, length));
    // Continue reading.
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
