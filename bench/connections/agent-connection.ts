/** The connection of one agent: TLS with its own certificate, and heartbeats in Connect's binary protocol. */
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type TLSSocket } from "node:tls";
import { heartbeatPath } from "../load/heartbeat-call.ts";

/** HTTP versions that agents use over TLS. */
export type Protocol = "h2" | "http/1.1";

/** One open connection. */
export interface AgentConnection {
  /** Sends a heartbeat. Resolves when it is answered, and rejects if the answer is not a heartbeat's. */
  heartbeat(body: Uint8Array): Promise<void>;
  /** Session to resume; absent if the server has sent no ticket yet. */
  readonly session: Buffer | undefined;
  close(): void;
}

/**
 * Opens a connection: with a full handshake, or with `session`, which the server must accept. Rejects if it cannot be
 * opened.
 */
export async function openConnection(
  port: number,
  certificate: { cert: string; key: string },
  protocol: Protocol,
  session?: Buffer,
): Promise<AgentConnection> {
  const tls = { ...certificate, rejectUnauthorized: false, ALPNProtocols: [protocol], ...(session && { session }) };
  const socket = connect({ host: "127.0.0.1", port, servername: "", ...tls }).setNoDelay(true);
  let newest = session;
  socket.on("session", (each: Buffer) => {
    newest = each;
  });
  await once(socket, "secureConnect");
  if (socket.isSessionReused() !== (session !== undefined)) throw new Error("the server resumes no session");
  const spoken = protocol === "h2" ? speakHttp2(socket) : speakHttp1(socket, port);
  return {
    ...spoken,
    get session() {
      return newest;
    },
  };
}

type Spoken = Omit<AgentConnection, "session">;

function speakHttp2(socket: TLSSocket): Spoken {
  const session = connectHttp2("https://127.0.0.1", { createConnection: () => socket });
  // A call that it breaks rejects by itself.
  session.on("error", () => {});
  return { heartbeat: (body) => post(session, body), close: () => session.destroy() };
}

async function post(session: ClientHttp2Session, body: Uint8Array): Promise<void> {
  const stream = session.request({ ":method": "POST", ":path": heartbeatPath, "content-type": "application/proto" });
  stream.end(body);
  const [[head]] = await Promise.all([once(stream, "response"), once(stream.resume(), "close")]);
  if (head[":status"] !== 200) throw new Error(`a heartbeat was answered with status ${head[":status"]}`);
}

function speakHttp1(socket: TLSSocket, port: number): Spoken {
  socket.on("error", fail);
  return {
    heartbeat: async (body) => {
      const fields = `host: 127.0.0.1:${port}\r\ncontent-type: application/proto\r\ncontent-length: ${body.length}`;
      socket.write(Buffer.concat([Buffer.from(`POST ${heartbeatPath} HTTP/1.1\r\n${fields}\r\n\r\n`), body]));
      let answer = "";
      while (!isWhole(answer)) {
        const [piece] = (await once(socket, "data")) as [Buffer];
        answer += piece.toString("latin1");
      }
      if (!answer.startsWith("HTTP/1.1 200 ")) throw new Error(`a heartbeat was answered with ${answer}`);
    },
    close: () => socket.destroy(),
  };
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  return answer.length >= headEnd + 4 + Number(/^content-length: (\d+)/im.exec(answer)?.[1] ?? 0);
}

function fail(error: Error): never {
  throw error;
}
