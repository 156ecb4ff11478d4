/** What writing did to a tag, so that repeating a write can be told from changing something. */
export type WriteOutcome = "created" | "changed" | "unchanged";
