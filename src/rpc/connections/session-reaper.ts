/** Ends HTTP/2 sessions over which nothing comes, and frees the sockets of those that end while their client does not play along. */
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";

/** Watches sessions from their beginning. */
export interface SessionReaper {
  watch(session: ServerHttp2Session, socket: Socket): void;
}

type Phase = "open" | "closed" | "destroyed";

/** Times are counted in checks: small integers take no memory of their own. */
interface Watched {
  readonly session: ServerHttp2Session;
  phase: Phase;
  /** When the phase began, or when it was last looked whether anything came over the session. */
  since: number;
  /** What had come and gone over the socket by then. */
  bytes: number;
  /** How often in a row nothing had. */
  quietLooks: number;
}

/** Looks for traffic in the time that a session may be idle: it ends a quarter of that too late at most. */
const idleLooks = 4;

/**
 * Makes a reaper for the sessions of `server`. One over which nothing comes or goes for `idleTimeoutMs` is closed; it and any other that
 * takes no more streams has `answerTimeoutMs` for those it has, and one that is gone `lingerTimeoutMs` for its last bytes: Node ends a
 * session by ending its own half of the connection and waits for the client to do the same, which might hold the socket for ever.
 *
 * Sessions have no timers of their own, which would outlive them: Node does not clear that of a session that is destroyed.
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
