/** Effect of a write on a tag, which tells a repeated write from a change. */
export type WriteOutcome = "created" | "changed" | "unchanged";
