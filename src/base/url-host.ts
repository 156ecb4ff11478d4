/** Converts hosts between the form that sockets use and the form that URLs use (RFC 3986 section 3.2.2). */

/** Writes a host as URLs do: an IPv6 address in brackets, everything else unchanged. */
export function toUrlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Reads the host of a URL as sockets want it: an IPv6 address without brackets, everything else unchanged. */
export function fromUrlHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}
