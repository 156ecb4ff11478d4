/** Addresses of open listeners. */

import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { toUrlHost } from "../base/url-host.ts";
import type { ListenAddress } from "../config/config.ts";

/** Returns the address that an open listener is bound to. */
export function getAddress(listener: FastifyInstance): ListenAddress {
  const { address, port } = listener.server.address() as AddressInfo;
  return { host: address, port };
}

/** Returns the address as a URL without a path. */
export function toUrl(isSecure: boolean, { host, port }: ListenAddress): string {
  return `${isSecure ? "https" : "http"}://${toUrlHost(host)}:${port}`;
}
