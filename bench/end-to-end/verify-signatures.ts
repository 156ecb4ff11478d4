/**
 * `verify-signatures.ts SECONDS` shows the minimum cost of signatures. It does only the verification of a signed
 * heartbeat, with node:crypto on one core, and prints how many it verifies per second.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { createBenchIdentity } from "../load/fleet.ts";

interface Signed {
  readonly message: Buffer;
  readonly key: KeyObject;
  readonly signature: Buffer;
}

const machines = 1_000;
/** Length of a message, about that of what an agent signs. */
const messageBytes = 330;
const warmUpSeconds = 0.3;

const all = Array.from({ length: machines }, (_, index): Signed => {
  const { privateKey } = createBenchIdentity(index + 1);
  const message = Buffer.alloc(messageBytes, index.toString());
  return { message, key: createPublicKey(privateKey), signature: sign(null, message, privateKey) };
});

verifyFor(warmUpSeconds);
process.stdout.write(`${verifyFor(Number(process.argv[2]))}\n`);

/** Verifies signatures for `seconds`, and returns how many per second. */
function verifyFor(seconds: number): number {
  const beganAtMs = performance.now();
  let count = 0;
  for (;;) {
    for (const { message, key, signature } of all) {
      if (!verify(null, message, key, signature)) throw new Error("a signature is not what it is");
    }
    count += all.length;
    const tookSeconds = (performance.now() - beganAtMs) / 1000;
    if (tookSeconds >= seconds) return count / tookSeconds;
  }
}
