/** The composition root: builds the whole server from its configuration, starts it and stops it. */
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { leaveAdminUrl } from "./admin-url.ts";
import { layFoundation } from "./foundation.ts";
import { checkBeforeOpening } from "./preflight.ts";
import { type CloseOptions, startServing } from "./serving.ts";

/** A running server. */
export interface Service {
  /** URL that agents call, for example "https://127.0.0.1:8443". */
  readonly agentUrl: string;
  /** URL that operators call. */
  readonly adminUrl: string;
  /**
   * File of the development CA that agents must trust. Absent if the operator provides the certificate, and without
   * TLS.
   */
  readonly caFile: string | undefined;
  /** Path of the file with an administrator's token. Absent if only others have one, or if the file cannot be used. */
  readonly adminTokenFile: string | undefined;
  /**
   * Resolves to the reason when the server cannot continue because its own PostgreSQL failed for good. Absent if it
   * uses another one.
   */
  readonly lost: Promise<Error> | undefined;
  /**
   * Stops the server: turns readiness off, waits for load balancers to notice, drains connections, and closes
   * everything.
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Starts a server. Throws ConfigError with every mistake of the configuration before it opens a port or a file for
 * good, and OperatorError for what shows later. Undoes everything that it had begun before it throws.
 */
export async function startService(config: Config, log: Logger): Promise<Service> {
  await using resources = new AsyncDisposableStack();
  const { certificates, ticketSecret, warnings } = await checkBeforeOpening(config);
  for (const note of [...config.notes, ...warnings]) log.warn(note);

  const foundation = resources.adopt(await layFoundation(config, log), (laid) => laid.close());
  const { databaseUrl, adminTokenFile, serverKey, lost } = foundation;
  const context = { config, certificates, ticketSecret, databaseUrl, serverKey, log };
  let closing: CloseOptions | undefined;
  const { agentUrl, adminUrl } = resources.adopt(await startServing(context), (serving) => serving.close(closing));
  resources.use(await leaveAdminUrl(config.home, adminUrl, log));
  const started = resources.move();
  const close = (options?: CloseOptions) => {
    closing = options;
    foundation.stopWork();
    return started.disposeAsync();
  };
  return { agentUrl, adminUrl, caFile: certificates.caFile, adminTokenFile, lost, close };
}
