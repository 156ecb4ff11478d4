import { isIP } from "node:net";
import { expect, test } from "vitest";
import { drawProxyHeader } from "../../fuzz/content/proxy-header.ts";
import { Random } from "../../fuzz/random.ts";
import { parseProxyHeader } from "../../src/rpc/connections/proxy-header.ts";

test("each header that the fuzzer's proxies send is sound and ends where the client's bytes begin", () => {
  const versions = new Set<number>();
  for (let seed = 0; seed < 500; seed++) {
    const bytes = drawProxyHeader(new Random(seed));
    const header = parseProxyHeader(Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1")]));
    expect(header, `seed ${seed}`).toMatchObject({ length: bytes.length });
    if (typeof header === "object") versions.add(isIP(header.address ?? ""));
  }
  expect([...versions].sort()).toEqual([0, 4, 6]);
});
