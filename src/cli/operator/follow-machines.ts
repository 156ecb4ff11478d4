/** Follows machines' changes for as long as it takes: comes back where it was whenever the connection or the server ends. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type MachineFilter,
  MachineService,
  type WatchMachinesResponse,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "./admin-client.ts";
import { findServerDelayMs, isPassing } from "./repeat-safely.ts";

/** What to follow. */
export interface FollowOptions {
  readonly filter: MachineFilter;
  /** Where to begin: a token of a list or an earlier watch; empty for now. */
  readonly resumeToken: string;
  readonly signal?: AbortSignal;
  /** Hears why the connection was lost, once for each loss, and that it is back, with nothing. */
  readonly onConnection?: (trouble: ConnectError | undefined) => void;
}

/** A server that lives sends something every 15 s. */
const maxSilenceMs = 50_000;
const longestWaitMs = 10_000;
/** How often a server that never answered is tried again. */
const maxFirstFailures = 4;

/**
 * Yields every message from the token on, signs of life included, until the signal aborts; some come twice after the connection was
 * lost, none is missed. Throws ConnectError when trying again is of no use.
 */
export async function* followMachines(
  operator: Operator,
  { filter, resumeToken, signal, onConnection = () => {} }: FollowOptions,
): AsyncGenerator<WatchMachinesResponse> {
  const client = operator.client(MachineService);
  let token = resumeToken;
  let wasConnected = false;
  const isEnded = () => signal?.aborted === true;
  for (let failures = 0; !isEnded(); ) {
    let trouble = new ConnectError("the server ended the watch", Code.Unavailable);
    try {
      for await (const message of watchOnce(client, { filter, resumeToken: token }, signal)) {
        if (failures > 0) onConnection(undefined);
        failures = 0;
        wasConnected = true;
        token = message.resumeToken;
        yield message;
      }
    } catch (error) {
      if (isEnded()) return;
      trouble = ConnectError.from(error);
      if (!isWorthComingBack(trouble) || (!wasConnected && failures === maxFirstFailures)) throw trouble;
    }
    if (failures === 0) onConnection(trouble);
    failures += 1;
    const waitMs = Math.min(longestWaitMs, 250 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
    await delay(Math.max(waitMs, findServerDelayMs(trouble)), undefined, { signal }).catch(() => {});
  }
}

/** A connection that broke shows as one of many codes; so does a silent one, which watchOnce ends. */
function isWorthComingBack(trouble: ConnectError): boolean {
  return isPassing(trouble) || [Code.Aborted, Code.DeadlineExceeded, Code.Canceled].includes(trouble.code);
}

/** One connection's messages; ends it when it has been silent for longer than a living server is. */
async function* watchOnce(
  client: Client<typeof MachineService>,
  request: { filter: MachineFilter; resumeToken: string },
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchMachinesResponse> {
  const silent = new AbortController();
  const timer = setTimeout(
    () => silent.abort(new ConnectError("the server sent nothing for a while", Code.DeadlineExceeded)),
    maxSilenceMs,
  );
  try {
    const ends = signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal]);
    // A time limit of 0 is none.
    for await (const message of client.watchMachines(request, { signal: ends, timeoutMs: 0 })) {
      timer.refresh();
      yield message;
    }
  } finally {
    clearTimeout(timer);
    // Whoever stops reading ends the call as well.
    silent.abort();
  }
}
