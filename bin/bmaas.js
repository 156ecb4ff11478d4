#!/usr/bin/env node
// Starts `bmaas`: from the sources in a clone, from the compiled files in the published package.
import { existsSync } from "node:fs";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `bmaas: Node.js 24 or later is needed, this is ${process.version}; in a clone, "npx bmaas" runs the one that npm ci installed\n`,
  );
  process.exit(2);
}
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/main.js", import.meta.url).href);
