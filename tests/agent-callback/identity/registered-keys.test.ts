/** What is remembered of keys, when they are read anew, and what many machines' reads cost. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AgentKey, generateAgentKey } from "../../../src/agent/agent-key.ts";
import { signRequest } from "../../../src/agent/request-signing.ts";
import { createRegisteredKeys } from "../../../src/agent-callback/identity/registered-keys.ts";
import { createSignatureChecks } from "../../../src/agent-callback/identity/signature-checks.ts";
import { createSignatureVerifier } from "../../../src/agent-callback/identity/signature-identity.ts";

const authority = "bmaas.example";
const machineId = randomUUID();
const old = await generateAgentKey();
const next = await generateAgentKey();

/** A verifier over keys that the test may change, and the machines of each read. */
function verifierOver(registered: Map<string, Uint8Array>) {
  const reads: string[][] = [];
  const verifySignature = createSignatureVerifier({
    isOwnAuthority: (name) => name === authority,
    checks: createSignatureChecks(),
    now: Date.now,
    readPublicKeys: async (machineIds) => {
      reads.push([...machineIds]);
      await delay(1);
      return new Map([...registered].filter(([id]) => machineIds.includes(id)));
    },
  });
  return {
    reads,
    verify: async (id: string, key: AgentKey, assertMayTry = () => {}) => {
      const url = new URL(`https://${authority}/h`);
      const body = new TextEncoder().encode("{}");
      const created = Math.floor(Date.now() / 1000);
      const headers = await signRequest({ method: "POST", url, body }, { machineId: id, key, created, nonce: 1n });
      const identity = await verifySignature(
        {
          method: "POST",
          scheme: "https",
          authority,
          path: url.pathname,
          headers,
          remoteAddress: undefined,
          body,
        },
        { assertMayTry, waitEnd: { atMs: performance.now() + 10_000, isCallers: false }, isUrgent: () => false },
      );
      return identity?.publicKey;
    },
  };
}

test("a key that has proven its machine is not read again", async () => {
  const { reads, verify } = verifierOver(new Map([[machineId, old.publicKey]]));
  for (let call = 0; call < 3; call++) expect(await verify(machineId, old)).toEqual(old.publicKey);
  expect(reads).toEqual([[machineId]]);
});

test("a signature that the remembered key does not explain has the key read anew, and the new one is remembered", async () => {
  const registered = new Map([[machineId, old.publicKey]]);
  const { reads, verify } = verifierOver(registered);
  await verify(machineId, old);
  registered.set(machineId, next.publicKey);
  for (let call = 0; call < 2; call++) expect(await verify(machineId, next)).toEqual(next.publicKey);
  expect(reads).toHaveLength(2);
  await expect(verify(machineId, old)).rejects.toMatchObject({ refusal: "unknown_identity" });
  expect(reads).toHaveLength(3);
});

test("a wrong signature of a remembered machine is refused and displaces nothing", async () => {
  const { reads, verify } = verifierOver(new Map([[machineId, old.publicKey]]));
  await verify(machineId, old);
  await expect(verify(machineId, next)).rejects.toMatchObject({ refusal: "unknown_identity" });
  expect(await verify(machineId, old)).toEqual(old.publicKey);
  expect(reads).toHaveLength(2);
});

test("who proved nothing is not remembered", async () => {
  const registered = new Map([[machineId, old.publicKey]]);
  const { reads, verify } = verifierOver(registered);
  const stranger = randomUUID();
  for (let call = 0; call < 2; call++) {
    await expect(verify(stranger, next)).rejects.toMatchObject({ refusal: "unknown_identity" });
    await expect(verify(machineId, next)).rejects.toMatchObject({ refusal: "unknown_identity" });
  }
  expect(reads).toHaveLength(4);
});

test("a call that had to wait is judged once more, by what is known then", async () => {
  const { verify } = verifierOver(new Map([[machineId, old.publicKey]]));
  await verify(machineId, old);
  let asked = 0;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 200 }, () =>
      verify(machineId, old, () => {
        if (++asked > 200) throw new Error("too many of its address have failed by now");
      }),
    ),
  );
  // Those that began at once were asked once.
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(400 - asked);
  expect(asked).toBeGreaterThan(300);
});

test("machines that come while a read is under way share the next one", async () => {
  const ids = Array.from({ length: 500 }, () => randomUUID());
  const reads: number[] = [];
  const keys = createRegisteredKeys(async (machineIds) => {
    reads.push(machineIds.length);
    await delay(1);
    return new Map(machineIds.map((id) => [id, id === ids[7] ? next.publicKey : old.publicKey]));
  });
  const found = await Promise.all(ids.map((id) => keys.read(id, false)));
  expect(found.map((key) => key?.publicKey === next.publicKey)).toEqual(ids.map((_, index) => index === 7));
  expect(reads).toEqual([1, 200, 200, 99]);
});

test("a read that fails is told to those who wait for it, and the next one succeeds", async () => {
  let isAway = true;
  const keys = createRegisteredKeys(async (machineIds) => {
    await delay(1);
    if (isAway) throw new Error("the database is unreachable");
    return new Map(machineIds.map((id) => [id, old.publicKey]));
  });
  await expect(keys.read(machineId, false)).rejects.toThrow("the database is unreachable");
  isAway = false;
  expect((await keys.read(machineId, false))?.publicKey).toEqual(old.publicKey);
});

test("urgent machines' keys are read before those of others that wait", async () => {
  const reads: string[][] = [];
  const keys = createRegisteredKeys(async (machineIds) => {
    reads.push([...machineIds]);
    await delay(1);
    return new Map();
  });
  const others = Array.from({ length: 250 }, () => randomUUID());
  await Promise.all([...others.map((id) => keys.read(id, false)), keys.read(machineId, true)]);
  expect(reads[1]?.[0]).toBe(machineId);
  expect(reads.flat().length).toBe(251);
});
