import { describe, expect, test } from "vitest";
import { findClientAddress } from "../../../src/rpc/callers/client-address.ts";

type Request = Parameters<typeof findClientAddress>[0];

function requestFrom(remoteAddress: string | undefined, forwarded?: string): Request {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return { raw: { headers, socket: { remoteAddress } } } as unknown as Request;
}

describe("a call's address", () => {
  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:db8::1", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    [undefined, "unknown"],
  ])("is its connection's without a proxy, whatever the caller says: %s", (remote, address) => {
    expect(findClientAddress(requestFrom(remote, "192.0.2.1"), false)).toBe(address);
  });

  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["6.6.6.6, 192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:4711", "192.0.2.1"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ['"[2001:DB8:0::1]"', "2001:db8::1"],
    ["::ffff:c000:201", "192.0.2.1"],
  ])("is what the proxy wrote last: %s", (forwarded, address) => {
    expect(findClientAddress(requestFrom("10.1.2.3", forwarded), true)).toBe(address);
  });

  test.each([undefined, "", ",", "unknown", "_hidden", "192.0.2.1,", "192.0.2", "[::g]", "a".repeat(10_000)])(
    "is the proxy's when that wrote nothing usable: %s",
    (forwarded) => {
      expect(findClientAddress(requestFrom("10.1.2.3", forwarded), true)).toBe("10.1.2.3");
    },
  );
});
