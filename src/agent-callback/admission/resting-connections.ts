/**
 * Lets connections rest whose callers were asked to come back later: nothing is read from them until there is room again, so that what
 * a caller sends all the same waits in its own buffers and costs nothing here. Who does as it was asked notices nothing.
 *
 * Over HTTP/1.1 alone: Node reads an HTTP/2 connection whatever one says.
 */
import { Socket } from "node:net";
import type { CallConnection } from "../../rpc/calls/raw-call.ts";
import { createSharedTimeout } from "../../rpc/connections/shared-timeout.ts";

/** Holds connections that the server does not read for a while, and wakes them when there is room. */
export interface RestingConnections {
  /** How many rest. */
  readonly count: number;
  /** Rests the connection, for 5 s at most. What has been read of it is still served. */
  rest(connection: Pick<CallConnection, "id">): void;
  /** Reads again from so many of them, those that have rested for longest. */
  wake(count: number): void;
}

/** Half of what agents wait for an answer; callers are never asked to stay away for less. */
const longestMs = 5_000;
const checkIntervalMs = 250;

/** None rest yet. */
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
