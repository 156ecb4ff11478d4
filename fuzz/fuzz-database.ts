/** The database of a run: an empty one on a server that is given, or on a PostgreSQL of the run's own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { startEmbeddedPostgres } from "../src/db/embedded/embedded-postgres.ts";
import { removeEmbeddedPostgres } from "../src/db/embedded/instance.ts";

/** Lasts until it is disposed of. */
export interface FuzzDatabase extends AsyncDisposable {
  readonly url: string;
}

/** Makes it. The role at `serverUrl` must be allowed to create databases; without a URL, files are in `folder`. */
export async function openFuzzDatabase(folder: string, serverUrl: string | undefined): Promise<FuzzDatabase> {
  if (serverUrl === undefined) {
    const home = join(folder, "postgres");
    const options = { home, log: pino({ level: "silent" }), purpose: "the fuzzer", durable: false };
    const { url, stop } = await startEmbeddedPostgres(options);
    return {
      url,
      async [Symbol.asyncDispose]() {
        await stop();
        await removeEmbeddedPostgres(home);
      },
    };
  }
  const name = `bmaas_fuzz_${process.pid}_${randomBytes(4).toString("hex")}`;
  await administer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  const drop = () => administer(serverUrl, `drop database if exists ${name} with (force)`);
  return { url: url.href, [Symbol.asyncDispose]: drop };
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
