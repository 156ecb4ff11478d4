/** The composition root: builds the whole server from its configuration, starts it and ends it. */
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { leaveAdminUrl } from "./admin-url.ts";
import { layFoundation } from "./foundation.ts";
import { checkBeforeOpening } from "./preflight.ts";
import { type CloseOptions, startServing } from "./serving.ts";

/** A server that serves. */
export interface Service {
  /** Where agents call, for example "https://127.0.0.1:8443". */
  readonly agentUrl: string;
  /** Where operators call. */
  readonly adminUrl: string;
  /** The development CA that agents must trust; absent when the certificate is the operator's, and without TLS. */
  readonly caFile: string | undefined;
  /** Holds a token of an administrator; absent when others have one and this server has not. */
  readonly adminTokenFile: string | undefined;
  /** Resolves when the server cannot go on, with the reason: its own PostgreSQL is lost for good. Absent when it has none. */
  readonly lost: Promise<Error> | undefined;
  /** Ends it: readiness off, a delay for balancers to see it, then connections drain and everything closes. */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Starts a server. Throws ConfigError with everything that is wrong with the configuration before a port or a file is opened for good,
 * and OperatorError for what shows later; whatever was begun is undone when it throws.
 */
export async function startService(config: Config, log: Logger): Promise<Service> {
  await using resources = new AsyncDisposableStack();
  const certificates = await checkBeforeOpening(config);
  for (const note of [...config.notes, ...certificates.warnings]) log.warn(note);

  const foundation = resources.adopt(await layFoundation(config, log), (laid) => laid.close());
  const { databaseUrl, adminTokenFile, serverKey, lost } = foundation;
  const context = { config, certificates, databaseUrl, serverKey, log };
  let closing: CloseOptions | undefined;
  const { agentUrl, adminUrl } = resources.adopt(await startServing(context), (serving) => serving.close(closing));
  resources.use(await leaveAdminUrl(config.home, adminUrl, log));
  const started = resources.move();
  const close = (options?: CloseOptions) => {
    closing = options;
    return started.disposeAsync();
  };
  return { agentUrl, adminUrl, caFile: certificates.caFile, adminTokenFile, lost, close };
}
