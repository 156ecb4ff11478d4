#!/usr/bin/env bash
# Shows that V8 creates the function of `this.f = () => …` in old space, where it keeps its object through scavenges.
#
#   findings/node-keeps-assigned-functions.sh [VERSION]    tries this version of Node; default: 24.21.0
#
# Subject: V8 in Node 24.21.0 (the npm package node). Node 22.23.3 and 26.10.0 create such functions in the same place.
#
# What one would guess: a new function is a young object, as all small objects are, and costs the next scavenge nothing
# once nobody can reach it. Whether it is written into a property, a class field or a variable first is a matter of
# style.
#
# What happens: V8 allocates the closure of a function literal on the right of an assignment to a property in old space
# (`%InYoungGeneration` is false for each of them), and all other ones in the young generation. A scavenge collects
# nothing in old space, and takes the dead function for one that is alive: whatever the function holds survives and is
# promoted, here each object that has been given such a function in its constructor. Only a major collection frees
# them. Node's own streams do it (WritableState sets `onwrite` so), and a server that makes one for each request fills
# old space with streams that are over. Where the optimising compiler Turbofan inlines the constructor, the function is
# young, so two runs of one program may differ; the sizes below are of code that it has not compiled.
#
# Seen on 2026-11-30:
#   of 1,000 functions, young: this.f = () => …: 0, { f: () => … }: 1000, class field: 1000, by way of a variable: 1000
#   20,000 dead objects of 0.9 kB after two scavenges: this.f = () => …: 19.7 MB, class field: 0.0 MB, variable: 0.0 MB
#
# Why it matters: a server that creates an object with such a function for each call has survivors in each scavenge,
# and only major collections free them, which stop it for longer. `const f = () => …; this.f = f` or a class field
# avoids it. A heap snapshot does not show the reason, because taking one collects the dead functions first.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-24.21.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --no-audit --no-fund --loglevel=error "node@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
node=$(find "$folder/node_modules" -path '*/bin/node' -type f | head -n 1)
[ -x "$node" ] || { echo "the package node@$version brought no program" >&2; exit 2; }

cat > kinds.js <<'JS'
class Assigned {
  constructor() {
    this.payload = new Array(100).fill(0.5);
    this.f = () => this.payload;
  }
}
class Field {
  payload = new Array(100).fill(0.5);
  f = () => this.payload;
}
class ByVariable {
  constructor() {
    this.payload = new Array(100).fill(0.5);
    const f = () => this.payload;
    this.f = f;
  }
}
const literal = () => {
  const payload = new Array(100).fill(0.5);
  return { payload, f: () => payload };
};
module.exports = {
  "this.f = () => …": () => new Assigned(),
  "{ f: () => … }": literal,
  "class field": () => new Field(),
  variable: () => new ByVariable(),
};
JS

cat > young.js <<'JS'
const young = Object.entries(require("./kinds.js")).map(([name, make]) => {
  let count = 0;
  for (let made = 0; made < 1_000; made++) if (%InYoungGeneration(make().f)) count++;
  return [name, count];
});
console.log(`of 1,000 functions, young: ${young.map(([name, count]) => `${name}: ${count}`).join(", ")}`);
process.exitCode = young.every(([name, count]) => count === (name.startsWith("this") ? 0 : 1_000)) ? 0 : 1;
JS

cat > kept.js <<'JS'
const { getHeapSpaceStatistics } = require("node:v8");
const make = require("./kinds.js")[process.argv[2]];
const readOldBytes = () => getHeapSpaceStatistics().find((space) => space.space_name === "old_space").space_used_size;
for (let made = 0; made < 20_000; made++) make();
gc();
const before = readOldBytes();
for (let made = 0; made < 20_000; made++) make();
for (let time = 0; time < 2; time++) gc({ type: "minor" });
console.log(((readOldBytes() - before) / 1e6).toFixed(1));
JS

"$node" --version
status=0
"$node" --allow-natives-syntax young.js || status=1
for name in "this.f = () => …" "class field" variable; do
  megabytes=$("$node" --no-turbofan --expose-gc kept.js "$name")
  echo "20,000 dead objects after two scavenges, $name: $megabytes MB"
  case $name in
    this*) awk "BEGIN { exit !($megabytes > 5) }" || status=1 ;;
    *) awk "BEGIN { exit !($megabytes < 1) }" || status=1 ;;
  esac
done
[ "$status" = 0 ] && echo "as found" || echo "this has changed"
exit "$status"
