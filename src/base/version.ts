/** Which bmaas this is. */
import { readFileSync } from "node:fs";

/** The version in package.json, from the sources and from the compiled program alike. */
export function readVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
