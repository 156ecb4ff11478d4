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
  /** Opens the connection, unless it is open or about to be. Never waits and never throws. */
  renew(): void;
  close(): void;
}

/** Creates a listener, which calls `onChange` with the number of each transaction that announces itself. */
export type ListenToHistory = (onChange: (transaction: bigint) => void) => HistoryListener;

/** Returns what creates listeners at the database at `url`. */
export function createHistoryListeners(url: string): ListenToHistory {
  return (onChange) => {
    /** The connection that is open or about to be. */
    let current: pg.Client | undefined;
    let isOver = false;

    function renew(): void {
      if (current !== undefined || isOver) return;
      const client = new (chooseClient(url))(connectionConfig(url, "bmaas-watch"));
      current = client;
      const forget = () => {
        if (current === client) current = undefined;
      };
      client.on("error", forget);
      client.on("end", forget);
      client.on("notification", ({ payload = "" }) => {
        if (/^\d{1,20}$/.test(payload)) onChange(BigInt(payload));
      });
      open(client).catch(() => {
        forget();
        end(client);
      });
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
