/**
 * A server of several processes. This one, the primary, owns everything that must exist only once on a machine, and its
 * workers serve.
 */
import type { Logger } from "pino";
import { Turnstile } from "../base/turnstile.ts";
import { readVersion } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { leaveAdminUrl } from "../service/admin-url.ts";
import { layFoundation } from "../service/foundation.ts";
import { type Credentials, checkBeforeOpening, loadCredentials } from "../service/preflight.ts";
import type { Service } from "../service/service.ts";
import { advanceTicketSecret } from "../tls/ticket-secret.ts";
import { WorkerPool } from "./worker-pool.ts";

/** A server whose processes can be replaced while it serves. */
export interface WorkersService extends Service {
  /**
   * Reads the certificates and the shared secret of tickets again, and replaces the workers one after the other. If one
   * of them cannot be used, all stay as they are. Never rejects; the log says how it went.
   */
  replaceWorkers(): Promise<void>;
}

/** Starts the server. Throws what `startService` throws, and the reason why a worker cannot serve. */
export async function startWorkers(config: Config, log: Logger): Promise<WorkersService> {
  await using resources = new AsyncDisposableStack();
  // The secret of tickets outlives the workers, so that their successors accept their tickets.
  let { certificates, ticketSecret, warnings } = await checkBeforeOpening(config);
  for (const note of [...config.notes, ...warnings]) log.warn(note);
  const foundation = resources.adopt(await layFoundation(config, log), (laid) => laid.close());
  const { databaseUrl, adminTokenFile, serverKey, lost } = foundation;
  const version = readVersion();
  const getSettings = () => {
    ticketSecret = ticketSecret && advanceTicketSecret(ticketSecret);
    return { config, certificates, ticketSecret, databaseUrl, serverKey, version };
  };
  const pool = resources.adopt(new WorkerPool({ getSettings, log }), (each) => each.close());
  // The first worker starts alone, so that a reason why workers cannot serve is reported only once.
  const { agentUrl, adminUrl } = await pool.add();
  await Promise.all(Array.from({ length: config.workers - 1 }, () => pool.add()));
  resources.use(await leaveAdminUrl(config.home, adminUrl, log));
  const { caFile } = certificates;
  // One at a time, so that what was read last counts.
  const reloads = new Turnstile(1);
  const reload = async () => {
    let loaded: Credentials;
    try {
      loaded = await loadCredentials(config);
    } catch (error) {
      log.error({ err: error }, "the workers are not replaced and continue to serve with what was read before");
      return;
    }
    ({ certificates, warnings } = loaded);
    if (config.tlsTicketSecretFile !== undefined) ({ ticketSecret } = loaded);
    for (const warning of warnings) log.warn(warning);
    pool.replaceAll();
  };
  const started = resources.move();
  const close = () => {
    foundation.stopWork();
    return started.disposeAsync();
  };
  return { agentUrl, adminUrl, caFile, adminTokenFile, lost, replaceWorkers: () => reloads.pass(reload), close };
}
