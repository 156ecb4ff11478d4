/** The version of bmaas. */
import { readFileSync } from "node:fs";

/** Returns the version in package.json, both from the sources and from the compiled program. */
export function readVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
