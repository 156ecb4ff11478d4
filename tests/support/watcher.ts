/** Runs a watch and records its events, which tests can wait for. */
import { type Client, ConnectError } from "@connectrpc/connect";
import type { MachineService, WatchMachinesResponse } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { waitUntil } from "./wait.ts";

type WatchRequest = Parameters<Client<typeof MachineService>["watchMachines"]>[0];

/** A running watch. */
export interface Watcher extends AsyncDisposable {
  /** Events so far, oldest first, without signs of life. */
  readonly events: WatchMachinesResponse[];
  /** The last token; undefined before the first message. */
  readonly token: string | undefined;
  /** Resolves to the error that ended the watch, or to undefined if the test ended it. */
  readonly ended: Promise<ConnectError | undefined>;
  /** Waits for an event of this machine and kind, and returns it. */
  waitFor(machineId: string, kind: string): Promise<WatchMachinesResponse>;
}

/** Starts a watch. Resolves at its first message or at its end. */
export async function startWatch(client: Client<typeof MachineService>, request: WatchRequest = {}): Promise<Watcher> {
  const stop = new AbortController();
  const events: WatchMachinesResponse[] = [];
  let token: string | undefined;
  let hasEnded = false;
  const read = async (): Promise<ConnectError | undefined> => {
    try {
      for await (const message of client.watchMachines(request, { signal: stop.signal })) {
        token = message.resumeToken;
        if (message.kind !== "") events.push(message);
      }
      return undefined;
    } catch (error) {
      return stop.signal.aborted ? undefined : ConnectError.from(error);
    } finally {
      hasEnded = true;
    }
  };
  const ended = read();
  await waitUntil("the watch begins", () => token !== undefined || hasEnded);
  return {
    events,
    get token() {
      return token;
    },
    ended,
    waitFor: (machineId, kind) =>
      waitUntil(`${kind} of ${machineId}`, () =>
        events.find((event) => event.machineId === machineId && event.kind === kind),
      ),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}
