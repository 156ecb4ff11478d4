/** What signature checks say of signatures, in which order, and what is known of how long they take. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { createSignatureChecks } from "../../../src/agent-callback/identity/signature-checks.ts";

const own = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519");
const message = Buffer.from("what was signed");
const signature = sign(null, message, own.privateKey);

interface More {
  readonly signature?: Uint8Array;
  readonly isUrgent?: boolean;
  readonly assertWanted?: () => void;
}

const checkOf = (key: KeyObject, more: More = {}) => ({
  message,
  key,
  signature: more.signature ?? signature,
  isUrgent: () => more.isUrgent === true,
  assertWanted: more.assertWanted ?? (() => {}),
});

test("a signature is genuine by the key that made it alone", async () => {
  const checks = createSignatureChecks();
  const altered = Buffer.from(signature);
  altered.writeUInt8(altered.readUInt8(3) ^ 1, 3);
  const answers = await Promise.all([
    checks.verify(checkOf(own.publicKey)),
    checks.verify(checkOf(other.publicKey)),
    checks.verify(checkOf(own.publicKey, { signature: altered })),
    checks.verify(checkOf(own.publicKey, { signature: signature.subarray(1) })),
  ]);
  expect(answers).toEqual([true, false, false, false]);
});

test("of those that wait, urgent ones go first, and how long the others wait is known", async () => {
  const checks = createSignatureChecks();
  const order: number[] = [];
  const verify = async (index: number) => {
    expect(await checks.verify(checkOf(own.publicKey, { isUrgent: index >= 400 }))).toBe(true);
    order.push(index);
  };
  let longestWaitMs = 0;
  const all = Array.from({ length: 410 }, (_, index) =>
    verify(index).then(() => {
      longestWaitMs = Math.max(longestWaitMs, checks.expectedWaitMs);
    }),
  );
  await Promise.all(all);
  // Those under way already, and those that the pool's threads finish out of order, may come before.
  const lastUrgent = Math.max(...Array.from({ length: 10 }, (_, index) => order.indexOf(400 + index)));
  expect(lastUrgent).toBeLessThan(200);
  expect(longestWaitMs).toBeGreaterThan(0);
  expect(checks.expectedWaitMs).toBe(0);
});

test("what cannot be verified at all is an error, and others go on", async () => {
  const checks = createSignatureChecks();
  const { publicKey } = generateKeyPairSync("x25519");
  await expect(checks.verify(checkOf(publicKey))).rejects.toThrow();
  expect(await checks.verify(checkOf(own.publicKey))).toBe(true);
});

test("what nobody wants any more when it has its turn is not verified, and makes room", async () => {
  const checks = createSignatureChecks();
  const left = () => {
    throw new Error("the caller has gone");
  };
  const settled = await Promise.allSettled(
    Array.from({ length: 300 }, (_, index) =>
      checks.verify(checkOf(own.publicKey, index % 3 === 0 ? { assertWanted: left } : {})),
    ),
  );
  // Those that began at once were not asked.
  const rejected = settled.filter(({ status }) => status === "rejected").length;
  expect(rejected).toBeGreaterThan(70);
  expect(settled.filter((each) => each.status === "fulfilled" && each.value)).toHaveLength(300 - rejected);
  expect(checks.waitingCount).toBe(0);
});

test("past what may wait checks are refused, but not those with another urgency", async () => {
  const checks = createSignatureChecks();
  const stop = () => {
    throw new Error("enough");
  };
  const add = (isUrgent: boolean) => checks.verify(checkOf(own.publicKey, { isUrgent, assertWanted: stop }));
  const all = Promise.allSettled(Array.from({ length: 64 + 10_000 }, () => add(false)));
  await expect(add(false)).rejects.toMatchObject({ code: Code.ResourceExhausted });
  const urgent = add(true);
  await expect(urgent).rejects.toThrow("enough");
  await all;
});
