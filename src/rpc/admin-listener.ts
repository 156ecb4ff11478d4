/** The operators' listener: health and readiness; nothing of it is reachable through the agents' listener. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { defaultLimits } from "./limits.ts";
import { createListener, type ListenerTls } from "./listener.ts";

/** What the listener tells. */
export interface AdminListenerOptions {
  /** Absent for plaintext, on loopback or behind a proxy that ends TLS. */
  readonly tls: ListenerTls | undefined;
  /** Resolves with why the server cannot serve now, or undefined when it can. */
  readonly findUnreadiness: () => Promise<string | undefined>;
  readonly log: Logger;
}

/** Builds the listener without opening its port. */
export function createAdminListener(options: AdminListenerOptions): FastifyInstance {
  const listener = createListener({
    tls: options.tls,
    requestClientCertificate: false,
    log: options.log,
    limits: defaultLimits,
  });
  // Alive: the process runs and answers. Restarting it would not mend a database that is away, so that is readiness.
  listener.get("/healthz", async () => ({ status: "ok" }));
  listener.get("/readyz", async (_request, reply) => {
    const reason = await options.findUnreadiness();
    if (reason === undefined) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", reason });
  });
  return listener;
}
