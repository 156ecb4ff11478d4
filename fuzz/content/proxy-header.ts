/** Headers of the PROXY protocol, by which a proxy states the client of a connection (doc/proxy-protocol.txt). */
import type { Random } from "../random.ts";

/** Draws a sound header of either version, with extensions now and then, or one that states no client. */
export function drawProxyHeader(random: Random): Buffer {
  const client = Array.from({ length: 4 }, () => random.below(256));
  const form = random.next();
  if (form < 0.05) return Buffer.from("PROXY UNKNOWN\r\n");
  if (form < 0.4) return Buffer.from(`PROXY TCP4 ${client.join(".")} 127.0.0.1 ${random.below(65_536)} 8443\r\n`);
  if (form < 0.5)
    return Buffer.from(`PROXY TCP6 2001:db8::${random.below(10_000)} ::1 ${random.below(65_536)} 8443\r\n`);
  if (form < 0.55) return formatBinary(0x20, 0, Buffer.alloc(0));
  const isIpv6 = random.chance(0.3);
  const addresses = isIpv6 ? random.bytes(32) : Buffer.from([...client, 127, 0, 0, 1]);
  const extension = random.chance(0.3) ? formatExtension(random.bytes(random.below(200))) : Buffer.alloc(0);
  return formatBinary(0x21, isIpv6 ? 0x21 : 0x11, Buffer.concat([addresses, random.bytes(4), extension]));
}

/** Version 2 (section 2.2). */
function formatBinary(command: number, family: number, rest: Buffer): Buffer {
  const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
  return Buffer.concat([signature, Buffer.from([command, family, rest.length >> 8, rest.length & 0xff]), rest]);
}

/** An extension that means nothing to anybody (section 2.2.7). */
function formatExtension(value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xe0, value.length >> 8, value.length & 0xff]), value]);
}
