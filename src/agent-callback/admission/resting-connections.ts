/**
 * Makes connections rest whose callers were asked to come back later: the server does not read from them until there is
 * room again. Data that a caller sends anyway waits in its own buffers and costs the server nothing. A caller that
 * complies notices nothing.
 *
 * Only HTTP/1.1 connections can rest, since Node reads HTTP/2 connections in any case.
 */
import { Socket } from "node:net";
import type { CallConnection } from "../../rpc/calls/raw-call.ts";
import { createSharedTimeout } from "../../rpc/connections/shared-timeout.ts";

/** Connections that the server does not read for a while. */
export interface RestingConnections {
  /** Number of resting connections. */
  readonly count: number;
  /** Makes the connection rest, for at most 5 s. Requests that were already read are still served. */
  rest(connection: Pick<CallConnection, "id">): void;
  /** Wakes the `count` connections that have rested longest, so that they are read again. */
  wake(count: number): void;
}

/**
 * Longest rest, in milliseconds: half of the time that agents wait for an answer. Callers are never asked to come back
 * sooner.
 */
const longestMs = 5_000;
const checkIntervalMs = 250;

/** Creates the set, without resting connections. */
export function createRestingConnections(): RestingConnections {
  // A set keeps the order in which they were added.
  const resting = new Set<Socket>();
  const timeout = createSharedTimeout<Socket>(longestMs, checkIntervalMs, wakeOne);

  function wakeOne(socket: Socket): void {
    timeout.delete(socket);
    resting.delete(socket);
    socket.resume();
  }

  return {
    get count() {
      return resting.size;
    },
    rest({ id }) {
      if (!(id instanceof Socket)) return;
      id.pause();
      resting.add(id);
      timeout.add(id);
    },
    wake(count) {
      let left = count;
      for (const socket of resting) {
        if (left-- === 0) return;
        wakeOne(socket);
      }
    },
  };
}
