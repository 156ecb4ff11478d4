/** The search parameters of the page that finds machines and parts. */

/** Search parameters of the page. */
export interface FindSearch {
  /** What to look for. */
  readonly text?: string;
}

/** Reads the search parameters, and drops what the page does not know. A URL may have a serial number as a number. */
export function readFindSearch({ text }: Record<string, unknown>): FindSearch {
  const written = typeof text === "number" ? String(text) : text;
  return typeof written === "string" && written.trim() !== "" ? { text: written.trim().slice(0, 255) } : {};
}
