/** The version of bmaas. */
import { readFileSync } from "node:fs";
import { ownFolder } from "./own-files.ts";

/** Returns the version in package.json. */
export function readVersion(): string {
  return (JSON.parse(readFileSync(new URL("package.json", ownFolder), "utf8")) as { version: string }).version;
}
