/** What a request of HTTP/1.1 says of where it goes (RFC 9112 section 3.2). */
import type { IncomingMessage } from "node:http";

/** A URL with an empty host is invalid (RFC 9110 section 4.2.1): it stays as it is, and the router refuses it. */
const absoluteForm = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/**
 * Gives a request whose target is a whole URL, as proxies send them, that URL's path for its target and its authority for its host,
 * which counts instead of the host field (section 3.2.2).
 */
export function toOriginForm(request: IncomingMessage): void {
  const { url = "/" } = request;
  if (url.startsWith("/")) return;
  const [, authority, path = ""] = absoluteForm.exec(url) ?? [];
  if (authority === undefined) return;
  request.url = path.startsWith("/") ? path : `/${path}`;
  request.headers.host = authority;
}

/** A name or an address, and a port (RFC 3986 section 3.2); nothing else of a URL. */
const hostForm = /^(?:\[[\dA-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\dA-Fa-f]{2})+)(?::\d*)?$/;

/** Nearly all requests name the same one. */
let latestSoundHost: string | undefined;

/**
 * Why a request's host is to be refused (section 3.2): it is named twice, or is none. Undefined when it is sound; also when none is
 * named, which older versions allow, or an empty one: whoever needs it misses it.
 */
export function findHostTrouble({ headers: { host }, rawHeaders }: IncomingMessage): string | undefined {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  if (count > 1) return "the request names its host more than once";
  if (host === undefined || host === "" || host === latestSoundHost) return undefined;
  if (!hostForm.test(host) || !URL.canParse(`http://${host}`)) return "the request names no valid host";
  latestSoundHost = host;
  return undefined;
}
