/** Lets an agent that has no machine id ask to be let in, until it is. */
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, ConnectError } from "@connectrpc/connect";
import { type EnrolmentService, EnrolRequestSchema } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { readVersion } from "../base/version.ts";
import { backoff, jitter, type Random } from "./backoff.ts";
import { findBootId } from "./boot-id.ts";
import type { CollectHardware } from "./hardware-feed.ts";
import { toSoundReport } from "./sound-report.ts";
import { readRetryAfterMs, readWantedPause } from "./wanted-pause.ts";

/** What happens while an agent asks to be let in. */
export type EnrolmentEvent =
  | { readonly type: "waiting"; readonly retryInMs: number }
  | { readonly type: "refused"; readonly reason: string; readonly retryInMs: number }
  | { readonly type: "failed"; readonly error: ConnectError; readonly retryInMs: number };

/** Options of `enrolAgent`. */
export interface EnrolmentOptions {
  readonly client: Client<typeof EnrolmentService>;
  /** Collects what the machine is recognised by. Default: no hardware report. */
  readonly collectHardware?: CollectHardware | undefined;
  /** Secret of a join token. */
  readonly joinToken?: string | undefined;
  /** Time between two calls, whatever the server requests. Default: the time that the server requests. */
  readonly intervalMs?: number | undefined;
  readonly onEvent?: (event: EnrolmentEvent) => void;
  /** Ends the wait when it aborts. */
  readonly signal: AbortSignal;
  readonly random?: Random;
  /** Returns the time of a clock that never goes back, in milliseconds. Default: the process's clock. */
  readonly nowMs?: () => number;
}

/** Deadline of a call, in milliseconds. */
const callTimeoutMs = 10_000;
/** Longest time between two attempts that fail, in milliseconds. */
const maxBackoffMs = 60_000;
/** Pause for a server that names none, in milliseconds. */
const defaultPauseMs = 30_000;
/**
 * Times after which the hardware is collected for the second time and then again, in milliseconds: a network adapter or
 * a disk may show itself late, and the machine is recognised by what it has.
 */
const [secondAfterMs, againAfterMs] = [60_000, 60 * 60_000];
/** Maximum size of an enrolment, in bytes, as the server takes it, with some room for the protocol. */
const maxBytes = 16_000;

/**
 * Asks until the agent is let in, and resolves to its machine id; undefined if the signal aborts before. No error ends
 * it: it retries for ever.
 */
export async function enrolAgent(options: EnrolmentOptions): Promise<string | undefined> {
  const { client, signal, onEvent = () => {}, random = Math.random, intervalMs } = options;
  const { nowMs = () => performance.now() } = options;
  let request = await describeMachine(options);
  let describeAtMs = nowMs() + secondAfterMs;
  for (let failures = 0; !signal.aborted; ) {
    let retryInMs: number;
    try {
      const { outcome, askAgainAfter } = await client.enrol(request, { signal, timeoutMs: callTimeoutMs });
      if (outcome.case === "accepted") return outcome.value.machineId;
      failures = 0;
      const wantedMs = intervalMs === undefined ? readWantedPause(askAgainAfter) : undefined;
      retryInMs = wantedMs ?? jitter(intervalMs ?? defaultPauseMs, random);
      if (outcome.case === "refused") onEvent({ type: "refused", reason: outcome.value.reason, retryInMs });
      else onEvent({ type: "waiting", retryInMs });
    } catch (thrown) {
      if (signal.aborted) return undefined;
      failures++;
      const error = ConnectError.from(thrown);
      retryInMs = backoff(failures, maxBackoffMs, readRetryAfterMs(error, maxBackoffMs), random);
      onEvent({ type: "failed", error, retryInMs });
    }
    await delay(retryInMs, undefined, { signal }).catch(() => {});
    if (signal.aborted || nowMs() < describeAtMs) continue;
    request = await describeMachine(options);
    describeAtMs = nowMs() + againAfterMs;
  }
  return undefined;
}

/** Returns the request. Leaves out warnings and then disks if it would be larger than a server takes. */
async function describeMachine({ collectHardware, joinToken = "", signal }: EnrolmentOptions) {
  const [hardwareReport, bootId = ""] = await Promise.all([collect(collectHardware, signal), findBootId()]);
  const request = create(EnrolRequestSchema, {
    ...{ agentVersion: readVersion(), bootId, joinToken },
    ...(hardwareReport && { hardwareReport }),
  });
  const fits = () => toBinary(EnrolRequestSchema, request).length <= maxBytes;
  if (!fits() && request.hardwareReport) request.hardwareReport.warning = [];
  if (!fits() && request.hardwareReport?.report) request.hardwareReport.report.blockDevice = [];
  return request;
}

/** Returns the report, or undefined if it cannot be collected: then the agent asks by its key alone. */
async function collect(collectHardware: CollectHardware | undefined, signal: AbortSignal) {
  try {
    return collectHardware && toSoundReport(await collectHardware({ signal }));
  } catch {
    return undefined;
  }
}
