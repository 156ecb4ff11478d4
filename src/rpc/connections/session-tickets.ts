/**
 * Lets agents resume their TLS sessions, which spares both sides the certificates and signatures of a handshake.
 *
 * A resumed session has the client certificate of the handshake that its ticket is from. That is as good a proof as the
 * handshake was, because only the two ends know the session's secret. What the proof is worth is not decided here: each
 * call is authenticated by the key of its certificate, and a key that was revoked or replaced fails on a resumed
 * session as on any other.
 *
 * Node accepts tickets of one key only. After a change of keys, each agent therefore makes one full handshake.
 */
import { constants } from "node:crypto";
import type { SecureServerOptions } from "node:http2";
import type { Server } from "node:tls";
import type { FastifyInstance } from "fastify";

/** Tickets of a listener; "off" for none, so that every connection begins with a full handshake. */
export type SessionTickets = TicketKeys | "off";

/** Keys of session tickets, one at a time. */
export interface TicketKeys {
  /** Returns the key that counts now, 48 bytes. Called often. */
  readonly getKey: () => Buffer;
  /** How long after its full handshake a session can be resumed, in milliseconds. */
  readonly lifeMs: number;
}

/** Interval at which the listener looks for another key, in milliseconds. */
const checkIntervalMs = 10_000;

/** Context of the sessions. It is the same in all processes, since a ticket of another context is not accepted. */
const sessionIdContext = "bmaas agents";

/** Returns the options of a TLS server with these tickets. */
export function toTicketOptions(tickets: SessionTickets): SecureServerOptions {
  if (tickets === "off") return { secureOptions: constants.SSL_OP_NO_TICKET };
  const sessionTimeout = Math.ceil(tickets.lifeMs / 1000);
  return { ticketKeys: tickets.getKey(), sessionTimeout, sessionIdContext };
}

/**
 * Makes a TLS listener, which must not be open yet, use the current key while it is open. In a worker, node:cluster
 * sets the first worker's key when the port is bound, so the key is set once more after that.
 */
export function rotateTicketKeys(
  listener: FastifyInstance,
  { getKey }: TicketKeys,
  intervalMs: number = checkIntervalMs,
): void {
  const server = listener.server as unknown as Server;
  let current: Buffer | undefined;
  const update = () => {
    const key = getKey();
    if (current?.equals(key) === true) return;
    current = key;
    server.setTicketKeys(key);
  };
  listener.addHook("onListen", async () => {
    update();
    const timer = setInterval(update, intervalMs).unref();
    server.once("close", () => clearInterval(timer));
  });
}
