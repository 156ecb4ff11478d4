/**
 * One connection and one transaction without time limits, for work that must be done before the server serves.
 * Everything that it sets and locks ends with the transaction, even where a pooler then passes the connection on.
 */
import type pg from "pg";
import { OperatorError } from "../base/operator-error.ts";
import { findSystemCode, isUntrusted } from "../base/system-code.ts";
import { connectionConfig, sessionSettings } from "./client.ts";
import { isDatabaseAway, sqlState } from "./errors.ts";
import { assertCommitted } from "./pipelined-transaction.ts";
import { refusePoolerWithoutStatements } from "./pooler.ts";
import { refuseReadOnly } from "./refuse-read-only.ts";
import { chooseClient } from "./scram-client.ts";
import { findDroppedSettings } from "./session-settings.ts";

/** The database server is too old for this program, or its encoding cannot represent all texts. */
class UnsupportedPostgresError extends OperatorError {
  override readonly name = "UnsupportedPostgresError";
}

/**
 * The connection was refused, by the database server or because of its certificate: the user, the password, the
 * database or the way of connecting is wrong.
 */
class DatabaseRefusedError extends OperatorError {
  override readonly name = "DatabaseRefusedError";
}

const oldestMajorVersion = 15;

/**
 * Runs `use` in the transaction, commits it and returns the result. Throws `UnsupportedPostgresError`,
 * `DatabaseRefusedError`, `UnfitPoolerError`, `ReadOnlyDatabaseError` or the driver's errors. Nothing was written then,
 * unless the connection was lost during the commit.
 */
export async function withSchemaSession<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const config: pg.ClientConfig = { ...connectionConfig(url, "bmaas migrate"), query_timeout: 0, pipeline: false };
  const Client = chooseClient(url);
  const client = new Client(config);
  // A lost connection rejects the query that runs on it; without a listener Node would end the process as well.
  client.on("error", () => {});
  try {
    await begin(client);
    await refuseUnfitServer(client);
    await refuseReadOnly(client);
    const dropped = await findDroppedSettings(client, sessionSettings);
    if (Object.keys(dropped).length > 0) await refusePoolerWithoutStatements(Client, config);
    await client.query(
      "select set_config(name, '0', true) from pg_settings where name in " +
        "('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')",
    );
    const result = await use(client);
    assertCommitted(await client.query("commit"));
    return result;
  } finally {
    // Ends the transaction if it is not committed.
    await client.end();
  }
}

/**
 * Connects and begins the transaction. Throws DatabaseRefusedError for a failure that is not an outage, since waiting
 * does not help.
 */
async function begin(client: pg.Client): Promise<void> {
  try {
    await client.connect();
    await client.query("begin isolation level read committed");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (isPoolerRefusal(error)) {
      throw new DatabaseRefusedError(
        `the pooler in front of the database refused the connection: ${reason}; PgBouncer needs ` +
          "ignore_startup_parameters = options, and pool_mode = transaction or session",
      );
    }
    if (isDatabaseAway(error)) throw error;
    if (isUntrusted(findSystemCode(error))) {
      throw new DatabaseRefusedError(
        "the database's certificate is not from a CA that the server trusts: " +
          "add sslrootcert, the file of its CA, to DATABASE_URL, or write sslmode=no-verify for TLS that checks no certificate",
      );
    }
    throw new DatabaseRefusedError(`the database refused the connection: ${reason}`);
  }
}

/**
 * Returns whether PgBouncer refused the connection for a reason that will not pass. It uses the same SQLSTATE for all
 * its refusals, even for an outage of its database.
 */
function isPoolerRefusal(error: unknown): boolean {
  return sqlState(error) === "08P01" && /startup parameter|statement pooling/.test((error as Error).message);
}

async function refuseUnfitServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: string; version: string; encoding: string }>(
    "select current_setting('server_version_num') as number, current_setting('server_version') as version, " +
      "current_setting('server_encoding') as encoding",
  );
  const { number, version, encoding } = rows[0] ?? {};
  if (!(Number(number) >= oldestMajorVersion * 10_000)) {
    throw new UnsupportedPostgresError(
      `the database server is PostgreSQL ${version}; bmaas needs PostgreSQL ${oldestMajorVersion} or later`,
    );
  }
  if (encoding !== "UTF8") {
    throw new UnsupportedPostgresError(
      `the database's encoding is ${encoding}, but bmaas needs UTF8: ` +
        "create another database with create database NAME encoding 'UTF8' template template0",
    );
  }
}
