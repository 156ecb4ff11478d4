/** What servers on this machine stand on, once for all processes of one: the database, its schema, and what is kept in the home. */
import type { Logger } from "pino";
import { ensureBootstrapToken } from "../admin/authorization/bootstrap-token.ts";
import type { Config } from "../config/config.ts";
import { connectDatabase } from "../db/client.ts";
import { startHistoryRetention } from "../db/history-retention.ts";
import { migrateWhenReachable } from "../db/migrate-when-reachable.ts";
import { openDatabaseServer } from "../db/open.ts";
import { adoptRestoredHistory } from "../db/queries/machine-change.ts";
import { openServerKey } from "./admin-url.ts";

/** Stands until `close`. */
export interface Foundation {
  /** A secret. */
  readonly databaseUrl: string;
  /** Holds a token of an administrator; absent when others have one and this server has not. */
  readonly adminTokenFile: string | undefined;
  /** A secret: see `openServerKey`. */
  readonly serverKey: string | undefined;
  /** Resolves when the server's own PostgreSQL is lost for good, with the reason. Absent when it has none. */
  readonly lost: Promise<Error> | undefined;
  close(): Promise<void>;
}

/** Lays it; throws what openDatabaseServer and the migrations throw, and undoes what was begun. */
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
        "a pooler in front of the database drops settings of connections: each transaction sets them",
      ),
  });
  resources.defer(disconnect);
  await adoptRestoredHistory(db);
  const isOwnDatabase = config.databaseUrl === undefined;
  const adminTokenFile = await ensureBootstrapToken({ db, home, isOwnDatabase, log });
  const serverKey = await openServerKey(home, log);
  resources.adopt(startHistoryRetention(db, { historyDays, log }), (retention) => retention.close());
  const laid = resources.move();
  return {
    databaseUrl: databaseServer.url,
    adminTokenFile,
    serverKey,
    lost: databaseServer.lost,
    close: () => laid.disposeAsync(),
  };
}
