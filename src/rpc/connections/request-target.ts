/** Target and host of HTTP/1.1 requests (RFC 9112 section 3.2). */
import type { IncomingMessage } from "node:http";

/**
 * Form of a target that is a whole URL. A URL with an empty host is invalid (RFC 9110 section 4.2.1); it stays
 * unchanged, and the router refuses it.
 */
const absoluteForm = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/**
 * Converts a request whose target is a whole URL, as proxies send it: the URL's path becomes the target, and its
 * authority the host, which overrides the Host field (section 3.2.2).
 */
export function toOriginForm(request: IncomingMessage): void {
  const { url = "/" } = request;
  if (url.startsWith("/")) return;
  const [, authority, path = ""] = absoluteForm.exec(url) ?? [];
  if (authority === undefined) return;
  request.url = path.startsWith("/") ? path : `/${path}`;
  request.headers.host = authority;
}

/**
 * Form of a host: a name or an address, and optionally a port (RFC 3986 section 3.2), without any other part of a URL.
 */
const hostForm = /^(?:\[[\dA-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\dA-Fa-f]{2})+)(?::\d*)?$/;

/** The latest valid host, which nearly all requests name. */
let latestSoundHost: string | undefined;

/**
 * Returns why a request must be refused because of its host (section 3.2): it is named twice, or is invalid. Returns
 * undefined for a valid host, and for an empty or missing one, which older versions of HTTP allow; code that needs a
 * host checks for one.
 */
export function findHostTrouble({ headers: { host }, rawHeaders }: IncomingMessage): string | undefined {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  if (count > 1) return "the request names its host more than once";
  if (host === undefined || host === "" || host === latestSoundHost) return undefined;
  if (!hostForm.test(host) || !URL.canParse(`http://${host}`)) return "the request has no valid host";
  latestSoundHost = host;
  return undefined;
}
