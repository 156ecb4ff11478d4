import { expect, test } from "vitest";
import { suggestName } from "../../src/base/suggest-name.ts";

test.each([
  ["public_key", "publicKey"],
  ["PublicKey", "publicKey"],
  ["pubicKey", "publicKey"],
  ["publikKye", undefined],
  ["provider", "provider"],
  ["provider-id", "providerId"],
  ["providerld", "providerId"],
  ["ip", undefined],
  ["x".repeat(100_000), undefined],
])("%.20s was meant to be %s", (name, meant) => {
  expect(suggestName(name, ["id", "provider", "providerId", "publicKey"])).toBe(meant);
});
