/** Follows machines' changes across lost connections and restarts of the server, and resumes at the same position. */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type MachineFilter,
  MachineService,
  type WatchMachinesResponse,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "./admin-client.ts";
import { findServerDelayMs, isPassing } from "./repeat-safely.ts";

/** Options of `followMachines`. */
export interface FollowOptions {
  readonly filter: MachineFilter;
  /** Whether to follow enrolments as well. Default: false. */
  readonly enrolments?: boolean;
  /** Start position: a token of a list or an earlier watch, or empty for now. */
  readonly resumeToken: string;
  readonly signal?: AbortSignal;
  /** Called once with the reason when the connection is lost, and without one when it is back. */
  readonly onConnection?: (trouble: ConnectError | undefined) => void;
}

/** Longest silence of a working server, in milliseconds. It sends something every 15 s. */
const maxSilenceMs = 50_000;
const longestWaitMs = 10_000;
/** Maximum number of retries for a server that has never answered. */
const maxFirstFailures = 4;

/**
 * Yields every message from the token on, including those that only show that the server works, until the signal
 * aborts. After a lost connection, messages may be repeated, but none is missed. Throws ConnectError if retrying cannot
 * help.
 */
export async function* followMachines(
  operator: Operator,
  { filter, enrolments = false, resumeToken, signal, onConnection = () => {} }: FollowOptions,
): AsyncGenerator<WatchMachinesResponse> {
  const client = operator.client(MachineService);
  let token = resumeToken;
  let wasConnected = false;
  const isEnded = () => signal?.aborted === true;
  for (let failures = 0; !isEnded(); ) {
    let trouble = new ConnectError("the server ended the watch", Code.Unavailable);
    try {
      for await (const message of watchOnce(client, { filter, enrolments, resumeToken: token }, signal)) {
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

/**
 * Returns whether to retry. A broken connection has one of many codes, and so has a silent one, which `watchOnce` ends.
 */
function isWorthComingBack(trouble: ConnectError): boolean {
  return isPassing(trouble) || [Code.Aborted, Code.DeadlineExceeded, Code.Canceled].includes(trouble.code);
}

/**
 * Yields the messages of one connection. Ends the connection when it has been silent for longer than a working server's
 * would be.
 */
async function* watchOnce(
  client: Client<typeof MachineService>,
  request: { filter: MachineFilter; enrolments: boolean; resumeToken: string },
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchMachinesResponse> {
  const silent = new AbortController();
  const timer = setTimeout(
    () => silent.abort(new ConnectError("the server sent nothing for a while", Code.DeadlineExceeded)),
    maxSilenceMs,
  );
  try {
    const ends = signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal]);
    // 0 means no time limit.
    for await (const message of client.watchMachines(request, { signal: ends, timeoutMs: 0 })) {
      timer.refresh();
      yield message;
    }
  } finally {
    clearTimeout(timer);
    // A reader that stops ends the call as well.
    silent.abort();
  }
}
