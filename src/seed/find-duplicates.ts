/** Finds ids and keys that two machines of one file share, even in a file with other mistakes. */
import { z } from "zod";
import type { Path, Problem } from "./problem.ts";
import type { SeedDocument } from "./seed-document.ts";

/** Returns one problem for every id, key or provider's id that a machine repeats of an earlier one. */
export function findDuplicates(document: SeedDocument): Problem[] {
  const file = z.object({ machines: z.array(z.unknown()) }).safeParse(document.value);
  if (!file.success) return [];
  const first = new Map<string, number>();
  const problems: Problem[] = [];
  file.data.machines.forEach((machine, index) => {
    for (const { claim, path, what } of findClaims(machine)) {
      const owner = first.get(claim);
      if (owner === undefined) {
        first.set(claim, index);
        continue;
      }
      const ownerLine = document.lineOf(["machines", owner, ...path]);
      const message = `is also the ${what} of machines[${owner}] on line ${ownerLine}; give each machine its own`;
      problems.push(document.problem(["machines", index, ...path], message));
    }
  });
  return problems;
}

interface Claim {
  /** Canonical text: equal for values that are the same in the database, however the file writes them. */
  readonly claim: string;
  readonly path: Path;
  readonly what: string;
}

const withId = z.object({ id: z.string() });
const withKey = z.object({ agent: z.object({ publicKey: z.string() }) });
const withProvider = z.object({ provided: z.object({ provider: z.string(), providerId: z.string() }) });

function findClaims(machine: unknown): Claim[] {
  const claims: Claim[] = [];
  const id = withId.safeParse(machine).data?.id;
  if (id !== undefined) claims.push({ claim: `id ${id.toLowerCase()}`, path: ["id"], what: "id" });
  const key = normaliseKey(withKey.safeParse(machine).data?.agent.publicKey);
  if (key !== undefined) claims.push({ claim: `key ${key}`, path: ["agent", "publicKey"], what: "key" });
  const provided = withProvider.safeParse(machine).data?.provided;
  if (provided !== undefined) {
    const claim = `provider ${JSON.stringify([provided.provider, provided.providerId])}`;
    claims.push({ claim, path: ["provided", "providerId"], what: "provider id" });
  }
  return claims;
}

/** Returns the key's bytes in one spelling, without checking that they are a valid key. */
function normaliseKey(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text.trim(), /^[0-9a-f]{64}$/i.test(text.trim()) ? "hex" : "base64");
  return bytes.length === 32 ? bytes.toString("hex") : undefined;
}
