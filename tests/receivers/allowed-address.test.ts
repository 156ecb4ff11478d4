/** Which addresses receivers may have. */
import { describe, expect, test } from "vitest";
import { createAddressGuard } from "../../src/receivers/allowed-address.ts";

const open = createAddressGuard({ networks: [], hosts: [] });
const allowing = createAddressGuard({
  networks: ["10.1.0.0/16", "fd00:1::/32", "127.0.0.1"],
  hosts: ["hooks.internal"],
});

const urls = (host: string) => new URL(`https://${host.includes(":") ? `[${host}]` : host}/hook`);

test.each([
  ["this host", "0.0.0.0"],
  ["a private network", "10.0.0.1"],
  ["a private network", "172.31.255.255"],
  ["a private network", "192.168.0.10"],
  ["a carrier's network", "100.64.0.1"],
  ["loopback", "127.0.0.1"],
  ["loopback", "127.255.255.254"],
  ["a cloud's metadata service", "169.254.169.254"],
  ["documentation", "203.0.113.9"],
  ["multicast", "224.0.0.1"],
  ["broadcast", "255.255.255.255"],
  ["nothing", "::"],
  ["loopback", "::1"],
  ["link-local", "fe80::1"],
  ["a private network", "fd12:3456::1"],
  ["a metadata service", "fd00:ec2::254"],
  ["multicast", "ff02::1"],
  ["IPv4 in IPv6", "::ffff:127.0.0.1"],
  ["IPv4 in IPv6", "::ffff:10.0.0.1"],
  ["IPv4 in IPv6, the old way", "::7f00:1"],
  ["IPv4 behind NAT64", "64:ff9b::7f00:1"],
  ["IPv4 behind 6to4", "2002:7f00:1::1"],
  ["Teredo", "2001::1"],
  ["documentation", "2001:db8::1"],
])("refuses %s: %s", (_what, address) => {
  expect(open.allows("hooks.example", address)).toBe(false);
  expect(() => open.checkUrl(urls(address))).toThrow(/not a public address.*BMAAS_RECEIVER_ALLOW/);
});

test.each(["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"])(
  "allows %s, which is public",
  (address) => {
    expect(open.allows("hooks.example", address)).toBe(true);
    expect(() => open.checkUrl(urls(address))).not.toThrow();
  },
);

/** Spellings of 127.0.0.1 that URLs normalise, and others that they refuse. */
test.each(["https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:7f00:1]/"])(
  "refuses loopback however it is written: %s",
  (text) => {
    expect(() => open.checkUrl(new URL(text))).toThrow(/not a public address/);
  },
);

describe("what the setting names", () => {
  test("is allowed, by network or by name, and nothing else", () => {
    expect(allowing.allows("x.example", "10.1.2.3")).toBe(true);
    expect(allowing.allows("x.example", "::ffff:10.1.2.3")).toBe(true);
    expect(allowing.allows("x.example", "fd00:1::5")).toBe(true);
    expect(allowing.allows("HOOKS.internal", "192.168.7.7")).toBe(true);
    expect(allowing.allows("x.example", "10.2.0.1")).toBe(false);
    expect(allowing.allows("other.internal", "192.168.7.7")).toBe(false);
    expect(allowing.allows("x.hooks.internal", "192.168.7.7")).toBe(false);
  });

  test("may use plain http, and nothing else may", () => {
    for (const text of ["http://hooks.internal/", "http://127.0.0.1:9/", "http://10.1.2.3/", "http://[fd00:1::5]/"]) {
      expect(() => allowing.checkUrl(new URL(text)), text).not.toThrow();
    }
    for (const text of ["http://hooks.example/", "http://8.8.8.8/", "http://127.0.0.2/", "http://10.2.0.1/"]) {
      expect(() => allowing.checkUrl(new URL(text)), text).toThrow(/is not https/);
    }
  });
});

test.each([
  ["credentials", "https://user:pass@hooks.example/"],
  ["a user", "https://user@hooks.example/"],
  ["a fragment", "https://hooks.example/#part"],
  ["another scheme", "ftp://hooks.example/"],
])("refuses a URL with %s", (_what, text) => {
  expect(() => open.checkUrl(new URL(text))).toThrow();
});
