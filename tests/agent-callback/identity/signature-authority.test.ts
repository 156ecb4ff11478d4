/** For which names of the server a signature counts. */
import { expect, test } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { signRequest } from "../../../src/agent/request-signing.ts";
import { createSignatureChecks } from "../../../src/agent-callback/identity/signature-checks.ts";
import { createSignatureVerifier } from "../../../src/agent-callback/identity/signature-identity.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const key = await generateAgentKey();
const nowMs = 1_700_000_000_000;

/**
 * Signs for `url` and verifies as a server whose names are `own`, to which the request came with `host` over `scheme`.
 */
async function verify(url: string, host: string, own: readonly string[], scheme?: "http" | "https") {
  const target = new URL(url);
  const body = new TextEncoder().encode("{}");
  const signer = { machineId, key, created: nowMs / 1000, nonce: 1n };
  const headers = await signRequest({ method: "POST", url: target, body }, signer);
  const verifySignature = createSignatureVerifier({
    isOwnAuthority: (authority) => own.includes(authority),
    checks: createSignatureChecks(),
    now: () => nowMs,
    readPublicKeys: async () => new Map([[machineId, key.publicKey]]),
  });
  return await verifySignature(
    {
      method: "POST",
      scheme: scheme ?? (target.protocol === "https:" ? "https" : "http"),
      authority: host,
      path: target.pathname,
      headers,
      remoteAddress: undefined,
      body,
    },
    { assertMayTry: () => {}, waitEnd: { atMs: performance.now() + 10_000, isCallers: false }, isUrgent: () => false },
  );
}

test.each([
  ["https://bmaas.example/h", "bmaas.example", "bmaas.example"],
  ["https://bmaas.example/h", "bmaas.example:443", "bmaas.example"],
  ["https://bmaas.example/h", "BMaaS.example", "bmaas.example:443"],
  ["https://[::1]/h", "[::1]", "[::1]:443"],
  ["http://127.0.0.1/h", "127.0.0.1", "127.0.0.1:80"],
  ["http://127.0.0.1/h", "127.0.0.1:80", "127.0.0.1:80"],
  ["https://[::1]:8443/h", "[::1]:8443", "[::1]:8443"],
])("a signature for %s that comes to %s counts where the server is %s", async (url, host, own) => {
  expect((await verify(url, host, [own]))?.publicKey).toEqual(key.publicKey);
});

test.each([
  ["https://bmaas.example/h", "bmaas.example"],
  ["https://bmaas.example/h", "bmaas.example:443"],
  ["https://bmaas.example:8443/h", "bmaas.example:8443"],
])("a signature for %s that a proxy which terminates TLS passes on with the host %s counts", async (url, host) => {
  const own = [new URL(url).host];
  expect((await verify(url, host, own, "http"))?.publicKey).toEqual(key.publicKey);
});

test.each([
  ["https://bmaas.example/h", "bmaas.example", "bmaas.example:80"],
  ["http://bmaas.example/h", "bmaas.example", "bmaas.example:443"],
  ["https://bmaas.example:8443/h", "bmaas.example:8443", "bmaas.example"],
  ["https://bmaas.example/h", "bmaas.example", "bmaas.example:8443"],
  ["https://other.example/h", "other.example", "bmaas.example"],
  ["https://bmaas.example/h", "user@bmaas.example", "bmaas.example"],
])("a signature for %s that comes to %s is refused where the server is %s", async (url, host, own) => {
  await expect(verify(url, host, [own])).rejects.toThrow(/this server is not/);
});
