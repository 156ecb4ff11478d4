/** Finds ids and keys that two machines of one file share, even in a file with other mistakes. */
import { z } from "zod";
import type { Path } from "./problem.ts";
import type { MachinePlace, Mistake } from "./read/machine-place.ts";

/**
 * Maximum number of machines whose ids and keys are remembered. A larger file's are compared in the database, once the
 * file has no other mistake.
 */
const maxRemembered = 20_000;

/** Remembers what the first machines of a file claim. */
export class Claims {
  readonly #first = new Map<string, { readonly place: MachinePlace; readonly path: Path }>();

  /** Returns one mistake for every id, key or provider's id of the machine that an earlier one has. */
  add(machine: unknown, place: MachinePlace): Mistake[] {
    if (place.index >= maxRemembered) return [];
    const mistakes: Mistake[] = [];
    for (const { claim, path, what } of findClaims(machine)) {
      const other = this.#first.get(claim);
      if (other === undefined) this.#first.set(claim, { place, path });
      else mistakes.push(explainDuplicate(what, { place, path }, other));
    }
    return mistakes;
  }
}

/** Returns the mistake of a machine that repeats an earlier one's value. */
export function explainDuplicate(
  what: "id" | "key" | "provider id",
  { place, path }: { readonly place: MachinePlace; readonly path: Path },
  other: { readonly place: MachinePlace; readonly path: Path },
): Mistake {
  const explain = (line: number) =>
    `is also the ${what} of machines[${other.place.index}] on line ${line}; give each machine its own`;
  return { place, path, explain, other };
}

interface Claim {
  /** Canonical text: equal for values that are the same in the database, however the file writes them. */
  readonly claim: string;
  readonly path: Path;
  readonly what: "id" | "key" | "provider id";
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
