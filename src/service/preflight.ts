/** Finds everything that is wrong with a configuration before anything is opened, all at once. */

import { once } from "node:events";
import { access, constants, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { fromUrlHost } from "../base/url-host.ts";
import {
  type Config,
  ConfigError,
  type Flags,
  type ListenAddress,
  loadConfig,
  type TriableSettings,
} from "../config/config.ts";
import { isDatabaseAway } from "../db/errors.ts";
import { checkSchema } from "../db/migrate.ts";
import type { ListenerTls } from "../rpc/listener.ts";
import { ensureDevelopmentTls } from "../tls/development-ca.ts";
import { loadOperatorCertificate } from "../tls/operator-certificate.ts";
import { createTicketSecret, loadTicketSecret, type TicketSecret } from "../tls/ticket-secret.ts";

/** Certificates of the listeners. */
export interface Certificates {
  readonly agent: ListenerTls | undefined;
  readonly admin: ListenerTls | undefined;
  /** Set if the development CA issued the agents' certificate. */
  readonly caFile: string | undefined;
  readonly warnings: readonly string[];
}

/**
 * Loads the configuration. If it has mistakes, also tests the valid settings, so that one ConfigError names all
 * mistakes.
 */
export async function loadCheckedConfig(flags: Flags): Promise<Config> {
  try {
    return loadConfig(undefined, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([...error.mistakes, ...(await findMistakes(error.sound))]);
  }
}

/** What the listeners prove themselves and recognise sessions by. */
export interface Credentials {
  readonly certificates: Certificates;
  /** The secret of the agents' session tickets: the one that servers share, or a new one; undefined for no tickets. */
  readonly ticketSecret: TicketSecret | undefined;
  readonly warnings: readonly string[];
}

/** Tests the configuration and loads the credentials. Throws ConfigError with every mistake that the test finds. */
export async function checkBeforeOpening(config: Config): Promise<Credentials> {
  const mistakes = await findMistakes(config);
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return await loadCredentials(config);
}

/** Loads all credentials, or has the development CA issue a certificate. Throws ConfigError. */
export async function loadCredentials(config: Config): Promise<Credentials> {
  const { tlsTickets, tlsTicketSecretFile: file } = config;
  const certificates = await loadCertificates(config);
  const { ticketSecret, warnings } =
    file === undefined ? { ticketSecret: createTicketSecret(), warnings: [] } : await loadTicketSecret(file);
  return {
    certificates,
    ticketSecret: tlsTickets === "off" ? undefined : ticketSecret,
    warnings: [...certificates.warnings, ...warnings],
  };
}

async function loadCertificates(config: Config): Promise<Certificates> {
  const admin = config.adminTls && (await loadOperatorCertificate(config.adminTls));
  if (config.agentTls === "off") {
    return { agent: undefined, admin, caFile: undefined, warnings: admin?.warnings ?? [] };
  }
  if (config.tls === undefined) {
    const names = (config.agentAuthorities ?? []).map(toHostName);
    const { cert, key, caFile } = await ensureDevelopmentTls(config.home, [config.agentListen.host, ...names]);
    return { agent: { cert, key }, admin, caFile, warnings: admin?.warnings ?? [] };
  }
  const agent = await loadOperatorCertificate(config.tls);
  return { agent, admin, caFile: undefined, warnings: [...agent.warnings, ...(admin?.warnings ?? [])] };
}

async function findMistakes(config: TriableSettings): Promise<string[]> {
  const found = await Promise.all([
    needsHome(config) ? findHomeMistakes(config.home) : undefined,
    findMistakesOf(config.tls, loadOperatorCertificate),
    findMistakesOf(config.adminTls, loadOperatorCertificate),
    findMistakesOf(config.tlsTicketSecretFile, loadTicketSecret),
    config.agentListen && findPortMistakes("BMAAS_AGENT_LISTEN", config.agentListen),
    config.adminListen && findPortMistakes("BMAAS_ADMIN_LISTEN", config.adminListen),
    config.databaseUrl === undefined ? undefined : findDatabaseMistakes(config.databaseUrl),
  ]);
  return found.flatMap((mistakes) => mistakes ?? []);
}

/** Returns whether the server needs its home, which holds the embedded PostgreSQL and the development CA. */
function needsHome(config: TriableSettings): config is TriableSettings & { readonly home: string } {
  if (config.home === undefined) return false;
  return config.databaseUrl === undefined || (config.agentTls === "on" && config.tls === undefined);
}

/** Finds what is wrong with the home. If it does not exist, the nearest existing folder above it must be writable. */
async function findHomeMistakes(home: string): Promise<string[]> {
  try {
    const found = await stat(home);
    if (!found.isDirectory()) return [`BMAAS_HOME: ${home} is not a folder`];
    await access(home, constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" && dirname(home) !== home) return findHomeMistakes(dirname(home));
    return [`BMAAS_HOME: ${home} ${homeTroubles[code] ?? `cannot be used (${code})`}`];
  }
}

const homeTroubles: Record<string, string> = {
  EACCES: "is a folder that this user cannot write to",
  EROFS: "is on a read-only file system",
  ENOTDIR: "has a parent that is not a folder",
};

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** Returns the mistakes in what a setting names, by loading it. */
async function findMistakesOf<T>(
  named: T | undefined,
  load: (named: T) => Promise<unknown>,
): Promise<readonly string[]> {
  if (named === undefined) return [];
  try {
    await load(named);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
}

async function findPortMistakes(name: string, address: ListenAddress): Promise<string[]> {
  const server = createServer();
  try {
    server.listen({ ...address, exclusive: true });
    await once(server, "listening");
    return [];
  } catch (error) {
    const code = codeOf(error);
    return [`${name}: ${address.host}:${address.port} ${portTroubles[code] ?? `cannot be bound (${code})`}`];
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
}

const portTroubles: Record<string, string> = {
  EADDRINUSE: "is in use by another process: stop it, or choose another port",
  EACCES: "requires privileges that this user does not have: choose a port from 1024 up",
  EADDRNOTAVAIL: "is not an address of this machine",
  ENOTFOUND: "is a host name that does not resolve",
};

/**
 * Finds what is wrong with the database. One that is away is not a mistake of the configuration, since it can come
 * back.
 */
async function findDatabaseMistakes(url: string): Promise<string[]> {
  try {
    await checkSchema(url);
    return [];
  } catch (error) {
    if (isDatabaseAway(error)) return [];
    return [`DATABASE_URL: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function toHostName(authority: string): string {
  return fromUrlHost(authority.replace(/:\d+$/, ""));
}
