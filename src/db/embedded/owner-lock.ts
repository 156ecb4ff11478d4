/**
 * The lock that makes one process the owner of an embedded PostgreSQL.
 *
 * It is an advisory lock of a session in the database itself: it needs no file that a crash leaves behind, and it dies with its holder.
 */
import type pg from "pg";
import { sqlState } from "../errors.ts";
import { chooseClient } from "../scram-client.ts";

/** The lock, held. */
export interface OwnerLock {
  /** Resolves when the session, and the lock with it, is gone. */
  readonly lost: Promise<void>;
  /** A query on the session that holds the lock. */
  query(text: string): Promise<pg.QueryResult>;
  release(): Promise<void>;
}

/** An attempt's outcome: the lock, or who holds it; neither when nobody does and it was not wanted, or its holder just let go. */
export interface LockAttempt {
  readonly lock?: OwnerLock;
  /** Names the process that holds it. */
  readonly owner?: string;
}

/** Any number that stays the same; the maintenance database holds no other advisory locks. */
const lockKey = 0x626d6161;
const connectTimeoutMs = 5_000;

/**
 * Takes the lock if it is free and `take` says so. `maintenanceUrl` leads to the database "postgres"; `purpose` says what this process does, to
 * whoever finds the lock held. Throws the driver's errors; see `isPassingError`.
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
  // What is wrong shows in the query that fails, or in the end of the session.
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

/** Whether the server was only starting, stopping or gone; anything else, like a refused password, will not pass. */
export function isPassingError(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || /^(57P0[123]|08...)$/.test(state);
}
