/** Ends idle HTTP/2 sessions, and frees the sockets of ended sessions whose client does not close its side. */
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";

/** Watches HTTP/2 sessions and ends them in time. */
export interface SessionReaper {
  watch(session: ServerHttp2Session, socket: Socket): void;
}

type Phase = "open" | "closed" | "destroyed";

/** A watched session. Times are counted in checks, since small integers take no extra memory. */
interface Watched {
  readonly session: ServerHttp2Session;
  phase: Phase;
  /** When the phase began, or when traffic was last checked. */
  since: number;
  /** Bytes read and written on the socket by then. */
  bytes: number;
  /** Number of consecutive checks without traffic. */
  quietLooks: number;
}

/** Number of traffic checks within the idle timeout. A session therefore ends at most a quarter of the timeout late. */
const idleLooks = 4;

/**
 * Creates a reaper for the sessions of `server`. A session without traffic for `idleTimeoutMs` is closed. A closed
 * session, which accepts no more streams, has `answerTimeoutMs` for the remaining ones. A destroyed session has
 * `lingerTimeoutMs` for its last bytes, because Node only ends its own half of the connection and waits for the client
 * to end the other, which might hold the socket for ever.
 *
 * Sessions have no timers of their own, because Node does not clear the timer of a destroyed session.
 */
export function createSessionReaper(
  server: EventEmitter,
  limits: Pick<ListenerLimits, "idleTimeoutMs" | "answerTimeoutMs" | "lingerTimeoutMs" | "checkIntervalMs">,
): SessionReaper {
  const toChecks = (timeMs: number) => Math.ceil(timeMs / limits.checkIntervalMs);
  const longest: Record<Phase, number> = {
    open: toChecks(limits.idleTimeoutMs / idleLooks),
    closed: toChecks(limits.answerTimeoutMs),
    destroyed: toChecks(limits.lingerTimeoutMs),
  };
  const watched = new Map<Socket, Watched>();
  let checks = 0;

  function check(): void {
    checks++;
    for (const [socket, each] of watched) {
      const phase = findPhase(each.session);
      if (phase !== each.phase) {
        each.phase = phase;
        each.since = checks;
      } else if (checks - each.since > longest[phase]) {
        if (phase === "open") look(socket, each);
        else socket.destroy();
      }
    }
  }

  function look(socket: Socket, each: Watched): void {
    const bytes = countBytes(socket);
    each.quietLooks = bytes === each.bytes ? each.quietLooks + 1 : 0;
    each.bytes = bytes;
    each.since = checks;
    if (each.quietLooks === idleLooks) each.session.close();
  }

  const timer = setInterval(check, limits.checkIntervalMs).unref();
  server.once("close", () => clearInterval(timer));
  function forget(this: Socket): void {
    watched.delete(this);
  }
  return {
    watch(session, socket) {
      watched.set(socket, { session, phase: "open", since: checks, bytes: 0, quietLooks: 0 });
      socket.on("close", forget);
    },
  };
}

function findPhase(session: ServerHttp2Session): Phase {
  if (session.destroyed) return "destroyed";
  return session.closed ? "closed" : "open";
}

function countBytes(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten;
}
