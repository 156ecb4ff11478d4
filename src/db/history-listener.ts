/**
 * Listens for announcements that the history changed, on a connection of its own. They only make readers look sooner:
 * heartbeats announce nothing, announcements are lost with the connection, and a pooler such as PgBouncer passes none
 * on, so every reader must also look from time to time.
 */
import pg from "pg";
import { connectionConfig } from "./client.ts";
import { historyChannel } from "./queries/machine-history.ts";
import { chooseClient } from "./scram-client.ts";
import { findDroppedSettings, parsingSettings } from "./session-settings.ts";

/** Listens while its connection lasts. */
export interface HistoryListener {
  /**
   * Opens the connection, unless it is open or about to be, or was lost too recently. Never waits and never throws.
   */
  renew(): void;
  close(): void;
}

/**
 * Time after the loss of a connection until the next one, in milliseconds. It doubles with each loss until a connection
 * has lasted for the longest of these times.
 */
const firstWaitMs = 500;
const longestWaitMs = 30_000;

/** Creates a listener, which calls `onChange` with the number of each transaction that announces itself. */
export type ListenToHistory = (onChange: (transaction: bigint) => void) => HistoryListener;

/** Returns what creates listeners at the database at `url`. */
export function createHistoryListeners(url: string): ListenToHistory {
  return (onChange) => {
    /** The connection that is open or about to be. */
    let current: pg.Client | undefined;
    let isOver = false;
    let openedAt = Number.NEGATIVE_INFINITY;
    let lostAt = Number.NEGATIVE_INFINITY;
    /** How long after a loss the next connection may be opened. */
    let waitMs = 0;

    function renew(): void {
      const nowMs = performance.now();
      if (current !== undefined || isOver || nowMs - lostAt < waitMs) return;
      openedAt = nowMs;
      const client = new (chooseClient(url))(connectionConfig(url, "bmaas-watch"));
      current = client;
      const lose = () => {
        if (current !== client) return;
        current = undefined;
        lostAt = performance.now();
        waitMs = lostAt - openedAt > longestWaitMs ? firstWaitMs : Math.min(2 * waitMs || firstWaitMs, longestWaitMs);
        end(client);
      };
      client.on("error", lose);
      client.on("end", lose);
      client.on("notification", ({ payload = "" }) => {
        if (/^\d{1,20}$/.test(payload)) onChange(BigInt(payload));
      });
      open(client).catch(lose);
    }

    async function open(client: pg.Client): Promise<void> {
      await client.connect();
      // A pooler would listen on a connection that other clients use, too.
      const dropped = await findDroppedSettings(client, parsingSettings);
      if (Object.keys(dropped).length === 0) await client.query(`listen ${pg.escapeIdentifier(historyChannel)}`);
      else close();
    }

    function close(): void {
      isOver = true;
      if (current !== undefined) end(current);
    }

    return { renew, close };
  };
}

function end(client: pg.Client): void {
  client.end().catch(() => {});
}
