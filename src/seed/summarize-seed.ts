/** Summarizes the outcomes of a seed. */
import type { SeededMachine } from "./seed-fleet.ts";

/** Numbers of machines of the file that were created, changed, or already as the file says. */
export interface SeedSummary {
  readonly machines: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly installationsRequested: number;
}

/** Counts the outcomes. Every machine counts as exactly one of created, changed and unchanged. */
export function summarizeSeed(seeded: readonly SeededMachine[]): SeedSummary {
  const created = seeded.filter(({ machine }) => machine === "created").length;
  const unchanged = seeded.filter(isUnchanged).length;
  return {
    machines: seeded.length,
    created,
    changed: seeded.length - created - unchanged,
    unchanged,
    installationsRequested: seeded.filter(({ install }) => install?.outcome === "requested").length,
  };
}

function isUnchanged({ machine, provided, labels, agent, expect, install }: SeededMachine): boolean {
  return [machine, provided, labels, agent, expect, install?.outcome].every(
    (outcome) => (outcome ?? "unchanged") === "unchanged",
  );
}
