/** Authorities under which agents may address the server in a signed request. */
import { toUrlHost } from "../../base/url-host.ts";
import type { ListenAddress } from "../../config/config.ts";

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const localNames = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Returns the authorities that hold without configuration: the address that the listener is bound to and, if it
 * includes loopback, the names of localhost. For a listener on all addresses, only the local ones are known.
 */
export function listOwnAuthorities({ host, port }: ListenAddress): string[] {
  const isLocal = wildcards.has(host) || host === "localhost" || host === "::1" || host.startsWith("127.");
  const bound = wildcards.has(host) ? [] : [toUrlHost(host)];
  const names = new Set([...bound, ...(isLocal ? localNames : [])]);
  return [...names].map((name) => `${name}:${port}`);
}
