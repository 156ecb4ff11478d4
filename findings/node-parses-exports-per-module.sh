#!/usr/bin/env bash
# Shows that Node 22 and 24 parse a package's "exports" anew for each module that it loads, which dominates the import of drizzle-orm.
#
#   findings/node-parses-exports-per-module.sh
#
# Subject: Node.js 24.21.0 and 22.21.1, beside 20.20.2, importing drizzle-orm 0.45.4 with pg 8.23.1.
#
# What one would guess: Node reads and parses a package.json once for each process, so its size hardly matters. drizzle-orm's has 178 KB,
# most of it 447 subpaths in "exports"; parsing that takes 1 or 2 ms.
#
# What happens: Node 22 and 24 keep "exports" as a text beside the cached file and parse it in a getter of an object that they make anew for
# each module, when they look for the module's package scope (lib/internal/modules/package_json_reader.js). The import takes five times
# as much CPU as with a package.json that has only the two subpaths in use. Node 20 does not show it.
#
# Seen on 2026-11-29, CPU of the import in milliseconds, median of five:
#   Node 24.21.0   "exports" as published:  509   two subpaths:   93
#   Node 22.21.1   "exports" as published:  373   two subpaths:   69
#   Node 20.20.2   "exports" as published:  114   two subpaths:  106
#
# Why it matters: it was a third of the CPU that a server of bmaas took to start. bmaas therefore puts drizzle-orm into its bundle; the
# package's "exports" cannot be shortened from outside.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error drizzle-orm@0.45.4 pg@8.23.1 > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
for version in 24.21.0 22.21.1 20.20.2; do
  mkdir -p "node-$version"
  echo '{ "private": true }' > "node-$version/package.json"
  npm install --prefix "node-$version" --no-audit --no-fund --loglevel=error "node@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
done

cat > import.mjs <<'JS'
const before = process.cpuUsage();
await import("drizzle-orm/node-postgres");
const { user, system } = process.cpuUsage(before);
console.log(Math.round((user + system) / 1000));
JS
cat > shorten.cjs <<'JS'
const { readFileSync, writeFileSync } = require("node:fs");
const file = "node_modules/drizzle-orm/package.json";
const contents = JSON.parse(readFileSync(file, "utf8"));
const used = [".", "./node-postgres"];
contents.exports = Object.fromEntries(used.map((subpath) => [subpath, contents.exports[subpath]]));
writeFileSync(file, JSON.stringify(contents));
JS

# median VERSION: CPU of the import in milliseconds.
median() {
  for _ in 1 2 3 4 5; do "node-$1/node_modules/node/bin/node" import.mjs; done | sort -n | sed -n 3p
}

declare -A whole short
for version in 24.21.0 22.21.1 20.20.2; do whole[$version]=$(median "$version"); done
node shorten.cjs
for version in 24.21.0 22.21.1 20.20.2; do
  short[$version]=$(median "$version")
  printf 'Node %-8s  "exports" as published: %4d   two subpaths: %4d\n' "$version" "${whole[$version]}" "${short[$version]}"
done
[ "${whole[24.21.0]}" -gt $((3 * ${short[24.21.0]})) ] && [ "${whole[22.21.1]}" -gt $((3 * ${short[22.21.1]})) ] &&
  [ $((2 * ${whole[20.20.2]})) -lt $((3 * ${short[20.20.2]})) ]
