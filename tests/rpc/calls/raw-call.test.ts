/** A caller's deadline is read as its protocol writes it, and one that outlasts any call counts as none. */
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { readCallerDeadline } from "../../../src/rpc/calls/raw-call.ts";

const maxMs = 3_600_000;

test.each([
  ["grpc", "grpc-timeout", "10S", 10_000],
  ["grpc", "grpc-timeout", "200m", 200],
  ["grpc-web", "grpc-timeout", "1u", 0.001],
  ["grpc", "grpc-timeout", "1H", maxMs],
  ["connect", "connect-timeout-ms", "5000", 5_000],
  ["connect", "connect-timeout-ms", "0", 0],
] as const)("of %s, %s: %s is %s ms", (protocol, name, value, timeoutMs) => {
  const headers = { [name]: value };
  expect(readCallerDeadline(protocol, headers, maxMs)).toEqual({ timeoutMs });
  expect(headers).toEqual({ [name]: value });
});

test.each([
  ["grpc", "grpc-timeout", "99999999H"],
  ["grpc", "grpc-timeout", "2H"],
  ["grpc-web", "grpc-timeout", "3600001m"],
  ["connect", "connect-timeout-ms", "9999999999"],
] as const)("of %s, %s: %s is forever, and nobody else reads it", (protocol, name, value) => {
  const headers: Record<string, string> = { [name]: value, host: "bmaas" };
  expect(readCallerDeadline(protocol, headers, maxMs)).toEqual({});
  expect(headers).toEqual({ host: "bmaas" });
});

test.each([
  ["grpc", "grpc-timeout", "soon"],
  ["grpc", "grpc-timeout", "100000000S"],
  ["connect", "connect-timeout-ms", "-1"],
  ["connect", "connect-timeout-ms", "10S"],
] as const)("of %s, %s: %s is no deadline", (protocol, name, value) => {
  const { timeoutMs, error } = readCallerDeadline(protocol, { [name]: value }, maxMs);
  expect([timeoutMs, error?.code]).toEqual([undefined, Code.InvalidArgument]);
});

test("another protocol's header is not read", () => {
  expect(readCallerDeadline("grpc", { "connect-timeout-ms": "1" }, maxMs)).toEqual({});
  expect(readCallerDeadline("connect", { "grpc-timeout": "1n" }, maxMs)).toEqual({});
  expect(readCallerDeadline("connect", {}, maxMs)).toEqual({});
});
