/** Connections of agents that keep their TLS session, and resume an earlier one. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { callHttp2, heartbeatHead } from "./raw-connection.ts";

/** A server, and what a client shows it. */
export interface SessionTarget {
  readonly agentUrl: string;
  readonly ca: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** Session of an earlier connection. */
  readonly session?: Buffer | undefined;
  /** Default: HTTP/2. */
  readonly alpn?: "h2" | "http/1.1";
  /** Default: what both sides prefer, which is TLS 1.3. */
  readonly maxVersion?: ConnectionOptions["maxVersion"];
}

/** One connection that has made one call. */
export interface SessionCall {
  /** Whether the server accepted the session that the client offered. */
  readonly isResumed: boolean;
  /** HTTP status and body of the call. */
  readonly status: number;
  readonly body: string;
  /** Session to resume: the newest one of the server, else the one that was offered. */
  readonly session: Buffer | undefined;
}

/** Opens a connection, sends the heartbeat of a machine in Connect's JSON, and closes the connection. */
export async function beatInSession(target: SessionTarget, machineId = ""): Promise<SessionCall> {
  const { agentUrl, ca, certificate, session, alpn = "h2", maxVersion } = target;
  const { port, host } = new URL(agentUrl);
  const socket = connectTls({
    host: "127.0.0.1",
    port: Number(port),
    ca,
    servername: "",
    ALPNProtocols: [alpn],
    ...certificate,
    ...(session && { session }),
    ...(maxVersion && { maxVersion }),
  });
  let newest = session;
  socket.on("session", (each: Buffer) => {
    newest = each;
  });
  await once(socket, "secureConnect");
  const isResumed = socket.isSessionReused();
  const body = JSON.stringify({ machineId });
  const answer = alpn === "h2" ? await postByHttp2(socket, body) : await postByHttp1(socket, host, body);
  socket.destroy();
  return { isResumed, ...answer, session: newest };
}

async function postByHttp2(socket: TLSSocket, body: string) {
  const session = connectHttp2("https://127.0.0.1", { createConnection: () => socket });
  session.on("error", () => {});
  const { status = 0, body: answer } = await callHttp2(session, {}, body);
  session.destroy();
  return { status, body: answer.toString() };
}

async function postByHttp1(socket: TLSSocket, host: string, body: string) {
  socket.write(heartbeatHead(host, { "Content-Length": body.length, Connection: "close" }) + body);
  let received = "";
  for await (const piece of socket.setEncoding("latin1")) received += piece;
  const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(received) ?? [];
  return { status: Number(status), body: received.slice(received.indexOf("\r\n\r\n") + 4) };
}
