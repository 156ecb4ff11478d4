/**
 * Decides to which addresses the server opens connections for receivers. An administrator's URL must not make the
 * server call what only the server can reach: itself, its neighbours, the metadata service of a cloud.
 */
import { BlockList, isIP, SocketAddress } from "node:net";

/** Networks and host names that are allowed though they are not public. */
export interface AllowedReceivers {
  /** Addresses and networks such as "10.0.0.0/8". */
  readonly networks: readonly string[];
  /** Names in lower case, as in URLs. */
  readonly hosts: readonly string[];
}

/** The address or the URL of a receiver is not allowed. */
export class ReceiverRefusedError extends Error {
  override readonly name = "ReceiverRefusedError";
}

/** Networks of IPv4 that are not on the public internet (IANA, special-purpose address registry). */
const reservedIpv4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
];
/** The part of IPv6 that is on the public internet, and what of it is not or leads to addresses of IPv4. */
const publicIpv6 = "2000::/3";
const reservedIpv6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const reserved = createList([...reservedIpv4, ...reservedIpv6]);
const globalIpv6 = createList([publicIpv6]);

/** Decides on URLs and addresses of receivers. */
export interface AddressGuard {
  /** Throws ReceiverRefusedError for a URL that may never be called. */
  checkUrl(url: URL): void;
  /** Returns whether `host`, the name in a URL, may lead to `address`. */
  allows(host: string, address: string): boolean;
}

/** Creates a guard that allows public addresses over https, and `allowed`. */
export function createAddressGuard({ networks, hosts }: AllowedReceivers): AddressGuard {
  const allowedNetworks = createList(networks);
  const isNamed = (host: string) => hosts.includes(host.toLowerCase());
  const isListed = (address: string) => allowedNetworks.check(address, familyOf(address));
  const allows = (host: string, given: string) => {
    const address = unmap(given);
    return isNamed(host) || isListed(address) || isPublic(address);
  };
  return {
    allows,
    checkUrl: (url) => {
      const host = toHost(url);
      const isAddress = isIP(host) !== 0;
      if (url.username !== "" || url.password !== "") throw new ReceiverRefusedError("has credentials: remove them");
      if (url.hash !== "") throw new ReceiverRefusedError("has a fragment: remove it");
      if (url.protocol === "http:" && !isNamed(host) && !(isAddress && isListed(unmap(host)))) {
        throw new ReceiverRefusedError("is not https: use https, or name the host in the setting BMAAS_RECEIVER_ALLOW");
      }
      if (url.protocol !== "http:" && url.protocol !== "https:") throw new ReceiverRefusedError("is not an https URL");
      if (isAddress && !allows(host, host)) throw new ReceiverRefusedError(describeRefusal(host, host));
    },
  };
}

/** Returns the end of a sentence that says why the address is refused. */
export function describeRefusal(host: string, address: string): string {
  const subject = host === address ? `leads to ${address}` : `${host} leads to ${address}`;
  return `${subject}, which is not a public address: name it in the setting BMAAS_RECEIVER_ALLOW to allow it`;
}

/** Returns the host of a URL, without the brackets of IPv6. */
export function toHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function isPublic(address: string): boolean {
  const family = familyOf(address);
  return !reserved.check(address, family) && (family === "ipv4" || globalIpv6.check(address, family));
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** Returns an IPv6 address that stands for one of IPv4 as that one (RFC 4291 section 2.5.5.2). */
function unmap(address: string): string {
  if (isIP(address) !== 6) return address;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(canonical)?.[1] ?? canonical;
}

function createList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
}
