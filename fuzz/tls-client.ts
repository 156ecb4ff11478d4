/** The side of the fuzzer in TLS, with sessions that are resumed. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, createSecureContext, type SecureContext, type SecureVersion } from "node:tls";
import type { Random } from "./random.ts";
import type { Door, FuzzAgent } from "./target.ts";

/** What is offered, and by whom. */
export interface TlsOptions {
  /** Protocols that are offered. Absent, no TLS is spoken, whatever the door expects. */
  readonly alpn?: string | readonly string[] | undefined;
  readonly certified?: FuzzAgent | undefined;
  /** The only version of TLS that is offered. Default: all that Node speaks. */
  readonly tlsVersion?: SecureVersion | undefined;
  /** Groups for the exchange of keys, as OpenSSL names them. Default: its own. */
  readonly groups?: string | undefined;
  /** Returns what TLS writes to and reads from instead of the TCP connection. */
  readonly relay?: ((tcp: Socket) => Duplex) | undefined;
}

const contexts = new Map<string, SecureContext>();
/** TLS sessions to be resumed, by door and client. */
const sessions = new Map<string, Buffer>();

/** Begins the handshake. */
export function startTls(random: Random, tcp: Socket, { port, ca }: Door, options: TlsOptions): Socket {
  const { alpn = [], certified, tlsVersion, groups, relay } = options;
  const client = `${port} ${certified?.machineId} ${tlsVersion} ${groups}`;
  const context =
    contexts.get(client) ??
    createSecureContext({
      ca,
      ...pickCertificate(certified),
      ...(tlsVersion && { minVersion: tlsVersion, maxVersion: tlsVersion }),
      ...(groups && { ecdhCurve: groups }),
    });
  contexts.set(client, context);
  const session = random.chance(0.7) ? sessions.get(client) : undefined;
  const protocols = [alpn].flat();
  const socket = connectTls({
    socket: relay?.(tcp) ?? tcp,
    secureContext: context,
    ...(protocols.length > 0 && { ALPNProtocols: protocols }),
    // Whom the fuzzer talks to is known.
    rejectUnauthorized: false,
    ...(session === undefined ? {} : { session }),
  });
  socket.on("session", (next) => sessions.set(client, next));
  return socket;
}

function pickCertificate(certified: FuzzAgent | undefined): { cert?: string; key?: string } {
  return certified === undefined ? {} : { cert: certified.cert, key: certified.key };
}
