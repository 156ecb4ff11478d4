/** Labels as people type them: "rack=r12 row=3". */
import { maxLabels, parseLabelKey, parseLabelValue } from "../../../src/contract/labels.ts";

/** Reads labels that spaces separate. Throws an Error that says which is wrong. */
export function readLabels(text: string): Record<string, string> {
  const labels = new Map<string, string>();
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const at = word.indexOf("=");
    if (at <= 0) throw new Error(`Write a label as key=value, not "${word}"`);
    const key = readPart(word.slice(0, at), parseLabelKey);
    if (labels.has(key)) throw new Error(`The label ${key} is there twice`);
    labels.set(key, readPart(word.slice(at + 1), parseLabelValue));
  }
  if (labels.size > maxLabels) throw new Error(`A machine has at most ${maxLabels} labels`);
  return Object.fromEntries(labels);
}

/** Writes labels as `readLabels` reads them, in order. */
export function writeLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(" ");
}

function readPart(text: string, parse: (text: string) => string): string {
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`"${text}" ${(error as Error).message}`);
  }
}
