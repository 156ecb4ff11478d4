/** Determines which server a command calls and with which token, and checks that the token may be sent there. */

import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { findFile } from "../../base/atomic-file.ts";
import { adminTokenFile, findLocalAdminUrl } from "../../base/local-server.ts";
import { findServerKey, serverKeyFile } from "../../base/server-proof.ts";
import { fromUrlHost, toUrlHost } from "../../base/url-host.ts";
import { type Config, ConfigError } from "../../config/config.ts";
import { InvalidValueError, isLoopback, parseBearerToken } from "../../config/values.ts";

/** A server, and the credentials for it. */
export interface ServerAccess {
  /** URL without a trailing slash. */
  readonly url: string;
  readonly token: string;
  /** Source of the token, for messages: a variable or a file. */
  readonly tokenSource: string;
  /**
   * Key that the server must prove to have before it gets the token. Absent if TLS authenticates the server, or if the
   * user named the server together with its token.
   */
  readonly key: string | undefined;
  /** Whether it is on this machine, so that compressing its answers costs more than sending them. */
  readonly isOnLoopback: boolean;
  /** PEM of the CAs to trust. Absent: those that Node trusts. */
  readonly ca: string | undefined;
}

/**
 * Finds the configured server, or the local one. Throws ConfigError if there is no token for it, if the token would
 * cross a network in plaintext, or if a local server cannot be verified.
 */
export async function findServer(config: Config): Promise<ServerAccess> {
  const url = config.adminUrl ?? (await findLocalUrl(config));
  const { protocol, hostname } = new URL(url);
  const isLoopbackUrl = isLoopback({ host: fromUrlHost(hostname), port: 0 });
  if (protocol === "http:" && !isLoopbackUrl && !config.adminPlaintext) {
    throw new ConfigError([
      `${url} is plain http to another machine, so anyone on the network could read the token: ` +
        "use https, or set --admin-plaintext on if the network is trusted",
    ]);
  }
  const isLocal = config.adminUrl === undefined || isLoopbackUrl;
  const token = await findToken(config, url, isLocal);
  const isNamed = config.adminUrl !== undefined && config.adminToken !== undefined;
  const key = protocol === "https:" || isNamed ? undefined : await readKey(config.home, url);
  return { url, ...token, key, isOnLoopback: isLoopbackUrl, ca: await readCa(config.adminCaFile) };
}

/**
 * Reads the key by which the server is verified, since any user of this machine can listen at its address after it has
 * stopped.
 */
async function readKey(home: string, url: string): Promise<string> {
  const name = relative(process.cwd(), serverKeyFile(home));
  let reason = `${name} does not exist: no server of this version has started there`;
  try {
    const key = await findServerKey(home);
    if (key !== undefined) return key;
  } catch (error) {
    reason = (error as Error).message;
  }
  throw new ConfigError([
    `the command cannot verify that the server listens at ${url}, so it sends no token (${reason}): ` +
      "start the server with bmaas serve, or name it with --admin-url and BMAAS_ADMIN_TOKEN",
  ]);
}

/**
 * Returns the URL that the server of the same home has recorded, or else the one at which it would listen with the same
 * configuration.
 */
async function findLocalUrl({ home, adminListen, adminTls }: Config): Promise<string> {
  const { host, port } = adminListen;
  const configured = `${adminTls === undefined ? "http" : "https"}://${toUrlHost(host)}:${port}`;
  const url = new URL((await findLocalAdminUrl(home)) ?? configured);
  // Servers can listen at a wildcard address, but clients cannot call it.
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  return url.origin;
}

/** Returns the token. The token in the file is the local server's, so it is never sent to another one. */
async function findToken(config: Config, url: string, isLocal: boolean) {
  if (config.adminToken !== undefined) return { token: config.adminToken, tokenSource: "BMAAS_ADMIN_TOKEN" };
  const file = adminTokenFile(config.home);
  const name = relative(process.cwd(), file);
  if (!isLocal) {
    throw new ConfigError([
      `BMAAS_ADMIN_TOKEN is missing: ${url} requires a token, and the one in ${name} is for the local server`,
    ]);
  }
  const text = await findFile(file);
  if (text === undefined) {
    throw new ConfigError([
      `there is no token (no ${name}): set BMAAS_ADMIN_TOKEN, or set --home to the folder of a server that has started once`,
    ]);
  }
  try {
    return { token: parseBearerToken(text), tokenSource: name };
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    throw new ConfigError([`${name}: ${error.message}`]);
  }
}

async function readCa(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const content = await readFile(file, "utf8").catch((error: Error) => {
    throw new ConfigError([`BMAAS_ADMIN_CA: ${error.message}`]);
  });
  if (!content.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ConfigError([`BMAAS_ADMIN_CA: ${file} holds no PEM certificate`]);
  }
  return content;
}
