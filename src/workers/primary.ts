/**
 * A server of several processes. This one, the primary, owns everything that must exist only once on a machine, and its
 * workers serve.
 */
import type { Logger } from "pino";
import { readVersion } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { leaveAdminUrl } from "../service/admin-url.ts";
import { layFoundation } from "../service/foundation.ts";
import { checkBeforeOpening, loadCertificates, openTicketSecret } from "../service/preflight.ts";
import type { Service } from "../service/service.ts";
import { advanceTicketSecret } from "../tls/ticket-secret.ts";
import { WorkerPool } from "./worker-pool.ts";

/** A server whose processes can be replaced while it serves. */
export interface WorkersService extends Service {
  /**
   * Reads the certificates again and replaces the workers one after the other. Never rejects; the log says how it went.
   */
  replaceWorkers(): Promise<void>;
}

/** Starts the server. Throws what `startService` throws, and the reason why a worker cannot serve. */
export async function startWorkers(config: Config, log: Logger): Promise<WorkersService> {
  await using resources = new AsyncDisposableStack();
  let certificates = await checkBeforeOpening(config);
  // It outlives the workers, so that their successors accept their tickets.
  let ticketSecret = await openTicketSecret(config);
  for (const note of [...config.notes, ...certificates.warnings]) log.warn(note);
  const foundation = resources.adopt(await layFoundation(config, log), (laid) => laid.close());
  const { databaseUrl, adminTokenFile, serverKey, lost } = foundation;
  const version = readVersion();
  const getSettings = () => {
    ticketSecret = ticketSecret && advanceTicketSecret(ticketSecret, Date.now());
    return { config, certificates, ticketSecret, databaseUrl, serverKey, version };
  };
  const pool = resources.adopt(new WorkerPool({ getSettings, log }), (each) => each.close());
  // The first worker starts alone, so that a reason why workers cannot serve is reported only once.
  const { agentUrl, adminUrl } = await pool.add();
  await Promise.all(Array.from({ length: config.workers - 1 }, () => pool.add()));
  resources.use(await leaveAdminUrl(config.home, adminUrl, log));
  const { caFile } = certificates;
  const replaceWorkers = async () => {
    try {
      certificates = await loadCertificates(config);
      if (config.tlsTicketSecretFile !== undefined) ticketSecret = await openTicketSecret(config);
    } catch (error) {
      log.error({ err: error }, "the workers are not replaced and continue to serve");
      return;
    }
    for (const warning of certificates.warnings) log.warn(warning);
    pool.replaceAll();
  };
  const started = resources.move();
  const close = () => {
    foundation.stopWork();
    return started.disposeAsync();
  };
  return { agentUrl, adminUrl, caFile, adminTokenFile, lost, replaceWorkers, close };
}
