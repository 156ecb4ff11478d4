/**
 * The lock that makes one process the owner of an embedded PostgreSQL.
 *
 * It is an advisory lock of a session in the database itself: it needs no file that a crash leaves behind, and it dies
 * with its holder.
 */
import type pg from "pg";
import { sqlState } from "../errors.ts";
import { chooseClient } from "../scram-client.ts";

/** The lock, held by this process. */
export interface OwnerLock {
  /** Resolves when the session, and the lock with it, is gone. */
  readonly lost: Promise<void>;
  /** Runs a query on the session that holds the lock. */
  query(text: string): Promise<pg.QueryResult>;
  release(): Promise<void>;
}

/**
 * Outcome of an attempt: the lock, or its holder. Neither when the lock was free and not wanted, or its holder just
 * released it.
 */
export interface LockAttempt {
  readonly lock?: OwnerLock;
  /** Name of the process that holds the lock. */
  readonly owner?: string;
}

/**
 * Key of the advisory lock. Any number will do, as long as it never changes: the maintenance database holds no other
 * advisory locks.
 */
const lockKey = 0x626d6161;
const connectTimeoutMs = 5_000;

/**
 * Takes the lock if it is free and `take` is set. `maintenanceUrl` names the database "postgres"; `purpose` says what
 * this process does, for processes that find the lock held. Throws the driver's errors; `isPassingError` tells which of
 * them pass.
 */
export async function tryOwnerLock(maintenanceUrl: string, purpose: string, take: boolean): Promise<LockAttempt> {
  const Client = chooseClient(maintenanceUrl);
  const client = new Client({
    connectionString: maintenanceUrl,
    application_name: `pid ${process.pid}, ${purpose}`,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  const { promise: lost, resolve } = Promise.withResolvers<void>();
  client.once("end", resolve);
  // The failing query or the end of the session shows what is wrong.
  client.on("error", () => resolve());
  try {
    await client.connect();
    const { rows } = await client.query<{ taken: boolean; owner: string | null }>(
      `select ${take ? "pg_try_advisory_lock($1)" : "$1::bigint is null"} as taken,
        (select a.application_name from pg_locks l join pg_stat_activity a using (pid)
          where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = $1::bigint::oid
            and l.pid <> pg_backend_pid() limit 1) as owner`,
      [lockKey],
    );
    if (rows[0]?.taken) return { lock: { lost, query: (text) => client.query(text), release: () => client.end() } };
    await client.end();
    const owner = rows[0]?.owner ?? undefined;
    return owner === undefined ? {} : { owner };
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

/**
 * Returns whether an error means that the server was only starting, stopping or gone. Any other error, such as a
 * refused password, will not pass.
 */
export function isPassingError(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || /^(57P0[123]|08...)$/.test(state);
}
