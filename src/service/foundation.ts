/** Opens what exists once for all processes of a server: the database, its schema, and the files in the home. */
import type { Logger } from "pino";
import { ensureBootstrapToken } from "../admin/authorization/bootstrap-token.ts";
import { readIdentifiers } from "../agent-callback/hardware-identifiers.ts";
import type { Config } from "../config/config.ts";
import { connectDatabase } from "../db/client.ts";
import { startHistoryRetention } from "../db/history-retention.ts";
import { startIdentifierUpkeep } from "../db/identifier-upkeep.ts";
import { startIssueComparison } from "../db/issue-comparison.ts";
import { migrateWhenReachable } from "../db/migrate-when-reachable.ts";
import { openDatabaseServer } from "../db/open.ts";
import { adoptRestoredHistory } from "../db/queries/history-position.ts";
import { adoptRestoredDispatch } from "../db/queries/receiver-dispatch.ts";
import { replaceStateLimits } from "../db/queries/state-limit.ts";
import { openServerKey } from "./admin-url.ts";

/** The database and the files of a server, open until `close`. */
export interface Foundation {
  /** A secret, since it may contain a password. */
  readonly databaseUrl: string;
  /** Path of the file with an administrator's token. Absent if only others have one, or if the file cannot be used. */
  readonly adminTokenFile: string | undefined;
  /** A secret, by which commands on this machine authenticate the server; absent if it cannot be stored. */
  readonly serverKey: string | undefined;
  /** Resolves to the reason when the server's own PostgreSQL failed for good. Absent if it uses another one. */
  readonly lost: Promise<Error> | undefined;
  /** Keeps background work on the database from starting anything new; does not wait. Call it before `close`. */
  stopWork(): void;
  close(): Promise<void>;
}

/** Opens the foundation. Throws what `openDatabaseServer` and the migrations throw, after undoing what it had begun. */
export async function layFoundation(config: Config, log: Logger): Promise<Foundation> {
  await using resources = new AsyncDisposableStack();
  const { home, historyDays } = config;
  const databaseServer = resources.adopt(
    await openDatabaseServer({ databaseUrl: config.databaseUrl, home, log, mode: "own" }),
    (server) => server.close(),
  );
  await migrateWhenReachable(databaseServer.url, log);
  const { db, close: disconnect } = connectDatabase(databaseServer.url, {
    onDropped: (settings) =>
      log.info(
        { settings },
        "a pooler in front of the database drops connection settings, so each transaction sets them",
      ),
  });
  resources.defer(disconnect);
  await adoptRestoredDispatch(db);
  await adoptRestoredHistory(db);
  const { stateLimits = {} } = config;
  const otherLimits = await replaceStateLimits(db, stateLimits);
  if (otherLimits !== undefined) {
    log.info({ before: otherLimits, now: stateLimits }, "the limits on the time in states have changed, in seconds");
  }
  const isOwnDatabase = config.databaseUrl === undefined;
  const adminTokenFile = await ensureBootstrapToken({ db, home, isOwnDatabase, log });
  const serverKey = await openServerKey(home, log);
  resources.adopt(startHistoryRetention(db, { historyDays, log }), (retention) => retention.close());
  const upkeep = resources.adopt(startIdentifierUpkeep(db, { read: readIdentifiers, log }), ({ close }) => close());
  const comparison = resources.adopt(startIssueComparison(db, { log }), ({ close }) => close());
  const laid = resources.move();
  return {
    databaseUrl: databaseServer.url,
    adminTokenFile,
    serverKey,
    lost: databaseServer.lost,
    stopWork: () => {
      upkeep.stop();
      comparison.stop();
    },
    close: () => laid.disposeAsync(),
  };
}
