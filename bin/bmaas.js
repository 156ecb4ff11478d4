#!/usr/bin/env node
// Starts `bmaas`: in a clone by a bundle of the sources, in the published package by the bundle that comes with it.
import { existsSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `bmaas: Node.js 24 or later is needed, this is ${process.version}; in a clone, "npx bmaas" runs the one that npm ci installed\n`,
  );
  process.exit(2);
}
const find = (path) => new URL(`../${path}`, import.meta.url);
const source = find("src/main.ts");
if (existsSync(source)) {
  module.enableCompileCache(fileURLToPath(find("node_modules/.cache/bmaas/compiled")));
  // The names are computed, since the package does not have these files.
  const { findBundle } = await import(find("tools/clone-bundle.ts").href);
  await import((await findBundle()) ?? source.href);
} else {
  await import(find("dist/program/main.mjs").href);
}
