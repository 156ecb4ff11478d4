/**
 * Headers of the PROXY protocol, by the examples and the layout of its specification (HAProxy, doc/proxy-protocol.txt).
 */
import { describe, expect, test } from "vitest";
import { maxProxyHeaderBytes, parseProxyHeader } from "../../../src/rpc/connections/proxy-header.ts";
import { binaryHeader } from "../../support/proxy-header.ts";

const ipv4 = Buffer.from([192, 0, 2, 7, 198, 51, 100, 1, 0xd4, 0x31, 0x01, 0xbb]);
const ipv6 = Buffer.from("20010db800000000000000000000000720010db8000000000000000000000001d43101bb", "hex");
const extensions = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3]);

const headers: [what: string, header: Buffer, address: string | undefined][] = [
  ["version 2 over IPv4", binaryHeader(0x21, 0x11, ipv4), "192.0.2.7"],
  ["version 2 over IPv6", binaryHeader(0x21, 0x21, ipv6), "2001:db8::7"],
  ["version 2 with extensions", binaryHeader(0x21, 0x11, Buffer.concat([ipv4, extensions])), "192.0.2.7"],
  ["version 2 of a health check", binaryHeader(0x20, 0x00), undefined],
  ["version 2 of a health check with addresses", binaryHeader(0x20, 0x11, ipv4), undefined],
  ["version 2 over a Unix socket", binaryHeader(0x21, 0x31, Buffer.alloc(216)), undefined],
  ["version 2 of an unspecified kind", binaryHeader(0x21, 0x00), undefined],
  ["version 1 over IPv4", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n"), "192.0.2.7"],
  ["version 1 over IPv6", Buffer.from("PROXY TCP6 2001:DB8:0::7 2001:db8::1 54321 443\r\n"), "2001:db8::7"],
  ["version 1 of an unknown kind", Buffer.from("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), undefined],
];

describe.each(headers)("%s", (_what, header, address) => {
  test("names the client, and ends where its bytes begin", () => {
    expect(parseProxyHeader(header)).toEqual({ length: header.length, address });
    expect(parseProxyHeader(Buffer.concat([header, Buffer.from("GET /")]))).toEqual({ length: header.length, address });
  });

  test("may come in pieces", () => {
    for (let length = 0; length < header.length; length++) {
      expect(parseProxyHeader(header.subarray(0, length))).toBeUndefined();
    }
  });
});

test.each([
  ["HTTP", Buffer.from("POST / HTTP/1.1\r\n")],
  ["TLS", Buffer.from("160301", "hex")],
  ["another version", binaryHeader(0x31, 0x11, ipv4)],
  ["another command", binaryHeader(0x22, 0x11, ipv4)],
  ["too few bytes for IPv4", binaryHeader(0x21, 0x11, ipv4.subarray(1))],
  ["too few bytes for IPv6", binaryHeader(0x21, 0x21, ipv4)],
  ["more bytes than are read", binaryHeader(0x21, 0x11, Buffer.alloc(maxProxyHeaderBytes))],
  ["a line that does not end", Buffer.from(`PROXY TCP4 ${"1".repeat(100)}`)],
  ["an address of the other kind", Buffer.from("PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n")],
  ["a name for an address", Buffer.from("PROXY TCP4 a.example 198.51.100.1 1 2\r\n")],
  ["no ports", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1\r\n")],
  ["another transport", Buffer.from("PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n")],
])("%s is no header", (_what, bytes) => {
  expect(parseProxyHeader(bytes)).toBe("malformed");
});
