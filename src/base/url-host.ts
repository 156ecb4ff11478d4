/** Converts hosts between the form that sockets use and the form that URLs use (RFC 3986 section 3.2.2). */

/** Returns a host in the form of URLs: an IPv6 address in brackets, everything else unchanged. */
export function toUrlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Returns the host of a URL in the form of sockets: an IPv6 address without brackets, everything else unchanged. */
export function fromUrlHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}
