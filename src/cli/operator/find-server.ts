/** Which server a command talks to, with what token, and whether it may be sent there. */

import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { findFile } from "../../base/atomic-file.ts";
import { adminTokenFile, findLocalAdminUrl } from "../../base/local-server.ts";
import { findServerKey, serverKeyFile } from "../../base/server-proof.ts";
import { fromUrlHost, toUrlHost } from "../../base/url-host.ts";
import { type Config, ConfigError } from "../../config/config.ts";
import { InvalidValueError, isLoopback, parseBearerToken } from "../../config/values.ts";

/** A server and how to prove who one is there. */
export interface ServerAccess {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string;
  /** Where the token comes from, for messages: a variable or a file. */
  readonly tokenSource: string;
  /**
   * What the server has to prove before it gets the token; absent where TLS does that, and for one that was named with
   * its token.
   */
  readonly key: string | undefined;
  /** PEM of the CAs to trust; absent for Node's own. */
  readonly ca: string | undefined;
}

/**
 * Finds the server that is configured, or the local one. Throws ConfigError when there is no token for it, or when the
 * token would cross a network in plaintext.
 */
export async function findServer(config: Config): Promise<ServerAccess> {
  const url = config.adminUrl ?? (await findLocalUrl(config));
  const { protocol, hostname } = new URL(url);
  const isLoopbackUrl = isLoopback({ host: fromUrlHost(hostname), port: 0 });
  if (protocol === "http:" && !isLoopbackUrl && !config.adminPlaintext) {
    throw new ConfigError([
      `${url} is plain http to another machine, so anyone on the network could read the token:` +
        "use https, or set --admin-plaintext on if the network is trusted",
    ]);
  }
  const isLocal = config.adminUrl === undefined || isLoopbackUrl;
  const token = await findToken(config, url, isLocal);
  const isNamed = config.adminUrl !== undefined && config.adminToken !== undefined;
  const key = protocol === "https:" || isNamed ? undefined : await readKey(config.home, url);
  return { url, ...token, key, ca: await readCa(config.adminCaFile) };
}

/** Anybody on this machine can listen where the server did before it stopped. */
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
    `the command cannot verify that the server listens at ${url}, so it sends no token (${reason}):` +
      "start the server with bmaas serve, or name it with --admin-url and BMAAS_ADMIN_TOKEN",
  ]);
}

/** What the server on the same home says that it listens on, else what it would listen on by the same configuration. */
async function findLocalUrl({ home, adminListen, adminTls }: Config): Promise<string> {
  const { host, port } = adminListen;
  const configured = `${adminTls === undefined ? "http" : "https"}://${toUrlHost(host)}:${port}`;
  const url = new URL((await findLocalAdminUrl(home)) ?? configured);
  // A wildcard is where servers listen, not where anybody calls.
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  return url.origin;
}

/** The file's token is the local server's, so that it goes to no other one. */
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
