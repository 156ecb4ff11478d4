import { describe, expect, test } from "vitest";
import { findMissingTools } from "../../../tools/netboot/missing-tools.ts";

describe("programs that a tool needs", () => {
  test("are not missed where they are", () => {
    expect(findMissingTools({ sh: "dash", [process.execPath]: "node" })).toBeUndefined();
  });

  test("are named with what to install, each package once", () => {
    const missing = findMissingTools({ sh: "dash", "no-such-a": "one", "/no/such/b": "one", "no-such-c": "two" });
    expect(missing).toBe(
      "no-such-a, /no/such/b, no-such-c, and this machine lacks that: install it (Debian: apt-get install one two)",
    );
  });
});
