/** Summarizes the outcomes of a seed. */
import type { SeededMachine } from "./seeded-fleet.ts";

/** Numbers of machines of the file that were created, changed, or already as the file says. */
export interface SeedSummary {
  readonly machines: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly installationsRequested: number;
}

/** Counts outcomes one by one. Every machine counts as exactly one of created, changed and unchanged. */
export class SeedSummaryCount {
  #machines = 0;
  #created = 0;
  #unchanged = 0;
  #installationsRequested = 0;

  add(seeded: SeededMachine): void {
    this.#machines += 1;
    if (seeded.machine === "created") this.#created += 1;
    else if (isUnchanged(seeded)) this.#unchanged += 1;
    if (seeded.install?.outcome === "requested") this.#installationsRequested += 1;
  }

  get summary(): SeedSummary {
    const [machines, created, unchanged] = [this.#machines, this.#created, this.#unchanged];
    const changed = machines - created - unchanged;
    return { machines, created, changed, unchanged, installationsRequested: this.#installationsRequested };
  }
}

function isUnchanged({ provided, labels, agent, expect, install }: SeededMachine): boolean {
  const isSame = (outcome: string | undefined) => outcome === undefined || outcome === "unchanged";
  return isSame(provided) && isSame(labels) && isSame(agent) && isSame(expect) && isSame(install?.outcome);
}
