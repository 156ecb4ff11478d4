/**
 * The Heartbeat call: it checks identity and message, writes the heartbeat, gives the agent its pending request, and
 * says when to call again.
 */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import {
  type HeartbeatRequest,
  type HeartbeatResponse,
  HeartbeatResponseSchema,
  type OSInstallationRequest,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { findVersion, isOlder } from "../contract/agent-version.ts";
import { readStoredRequest } from "../contract/stored-request.ts";
import type { DuplicateSign } from "../db/queries/heartbeat/duplicate-signs.ts";
import type { HeartbeatRow } from "../db/queries/heartbeat/heartbeat-row.ts";
import type { PendingInstallation } from "../db/queries/heartbeat/write-heartbeats.ts";
import { type AttemptRule, createAttemptLimit } from "../rpc/callers/attempt-limit.ts";
import { finishInTime, patienceOf, waitEndKey } from "./call-patience.ts";
import { type HeartbeatObserver, observeRefusal } from "./heartbeat-observer.ts";
import type { DeliveryWriter, HeartbeatWriter } from "./heartbeat-writer.ts";
import {
  type AgentIdentity,
  agentIdentityKey,
  assertSpeaksFor,
  IdentityRefusedError,
  type LogRefusal,
  unknownIdentityMessage,
} from "./identity/agent-identity.ts";
import { findSilenceAllowanceMs, type Pacer } from "./pacing.ts";
import type { StrangerLimit } from "./stranger-limit.ts";
import { validateHeartbeat } from "./validate-heartbeat.ts";

/** Options of `createHeartbeat`. */
export interface HeartbeatOptions {
  readonly writer: HeartbeatWriter;
  readonly deliveries: DeliveryWriter;
  readonly pacer: Pick<Pacer, "pace">;
  readonly strangers: Pick<StrangerLimit, "isKnown">;
  readonly observer: HeartbeatObserver;
  readonly logRefusal: LogRefusal;
  /** Called with a request that this server cannot decode, as often as its agent asks for it. */
  readonly noteUndecodable: (request: { readonly machineId: string; readonly generation: bigint }) => void;
  /** Numbers of the oldest version that agents should have. Absent: any version will do. */
  readonly minVersion?: readonly number[] | undefined;
  readonly log: Logger;
}

/** Creates the handler of AgentCallback.Heartbeat. Its errors are those that agent.proto lists. */
export function createHeartbeat(options: HeartbeatOptions) {
  const handle = createHandler(options);
  return async (request: HeartbeatRequest, context: HandlerContext): Promise<HeartbeatResponse> => {
    try {
      return await handle(request, context);
    } catch (error) {
      observeRefusal(options.observer, error);
      if (error instanceof IdentityRefusedError) {
        options.logRefusal(error, context.values.get(agentIdentityKey)?.remoteAddress);
      }
      throw error;
    }
  };
}

function createHandler(options: HeartbeatOptions) {
  const { writer, deliveries, pacer, strangers, minVersion, log } = options;
  const give = createGive(deliveries, createRequestDecoder(options));
  return async (request: HeartbeatRequest, context: HandlerContext): Promise<HeartbeatResponse> => {
    const { values } = context;
    const identity = values.get(agentIdentityKey);
    if (identity === undefined) throw new ConnectError("no identity was established for this call", Code.Internal);
    const sound = validateHeartbeat(request, identity);
    assertSpeaksFor(identity, sound);
    const pace = pacer.pace(sound.machineId, Date.now(), sound.installationProgress !== undefined);
    const isOutdated = minVersion !== undefined && isOutdatedVersion(sound.agentVersion, minVersion);
    const row = { ...sound, isOutdated, silenceAllowanceMs: findSilenceAllowanceMs(pace) };
    const isUrgent = row.installationReport !== undefined && isTrusted(identity, strangers);
    const outcome = await finishInTime(values.get(waitEndKey), (patience) =>
      writer.write(row, patienceOf(values, patience), isUrgent),
    );
    if (outcome.kind !== "counted") {
      const [reason, message] = refusals[outcome.kind];
      throw new IdentityRefusedError(reason, message, row);
    }
    if (log.isLevelEnabled("debug")) {
      const publicKey = Buffer.from(row.publicKey).toString("hex");
      log.debug({ machineId: row.machineId, publicKey, pending: outcome.pending?.generation.toString() }, "heartbeat");
    }
    logStrayProgress(log, row, outcome.pending);
    if (outcome.duplicate !== undefined) logDuplicate(log, row, outcome.duplicate);
    if (outcome.reportRefused) throw explainRefusedReport(row, outcome.reportRequested);
    const installationRequest = outcome.pending && (await give(outcome.pending, row, context));
    const { pauseMs } = installationRequest === undefined ? pace : pacer.pace(row.machineId, Date.now(), true);
    return create(HeartbeatResponseSchema, {
      ...(installationRequest && { installationRequest }),
      nextHeartbeatAfter: durationFromMs(pauseMs),
    });
  };
}

const refusals = {
  unauthenticated: ["unknown_identity", unknownIdentityMessage],
  replayed: ["replayed", "the signature's nonce is not greater than the last one accepted: sign every request anew"],
} as const;

/**
 * Returns whether the caller is known to be a registered agent before the database has confirmed it. A signature was
 * verified with the machine's key; the key of a certificate must have been accepted before.
 */
function isTrusted(identity: AgentIdentity, strangers: Pick<StrangerLimit, "isKnown">): boolean {
  const { publicKey, remoteAddress } = identity;
  return identity.signed !== undefined || strangers.isKnown({ publicKey, remoteAddress });
}

function isOutdatedVersion(text: string | undefined, minVersion: readonly number[]): boolean {
  const version = text === undefined ? undefined : findVersion(text);
  return version !== undefined && isOlder(version, minVersion);
}

function logDuplicate(log: Logger, { machineId, publicKey }: HeartbeatRow, duplicate: DuplicateSign): void {
  log.warn(
    { machineId, publicKey: Buffer.from(publicKey).toString("hex"), ...duplicate },
    "two machines call with one id and key: no installation is handed out until the key is replaced, or only one of them is heard for a while",
  );
}

function explainRefusedReport({ installationReport }: HeartbeatRow, isRequested = false): ConnectError {
  const generation = `installation_report.generation: ${installationReport?.generation}`;
  const reason = isRequested ? "was never given to this machine's agent" : "was never requested for this machine";
  return new ConnectError(`${generation} ${reason}`, Code.FailedPrecondition);
}

function logStrayProgress(log: Logger, row: HeartbeatRow, pending: PendingInstallation | undefined): void {
  const generation = row.installationProgress?.generation;
  if (generation === undefined || generation === pending?.generation) return;
  log.debug(
    { machineId: row.machineId, generation: generation.toString(), pending: pending?.generation.toString() },
    "ignored progress of an installation that is not pending",
  );
}

/**
 * Creates the function that gives a pending request to its agent, after the delivery is recorded. Only a request that
 * this server can decode is sent and counts as given. Resolves to undefined if the request must not be sent, for
 * example because it was cancelled meanwhile.
 */
function createGive(deliveries: DeliveryWriter, findRequest: ReturnType<typeof createRequestDecoder>) {
  return async (
    pending: PendingInstallation,
    { machineId, publicKey, process }: HeartbeatRow,
    context: HandlerContext,
  ): Promise<OSInstallationRequest | undefined> => {
    const request = findRequest(pending, machineId);
    if (request === undefined) return undefined;
    const { generation } = pending;
    const { values } = context;
    const delivery = await finishInTime(values.get(waitEndKey), (patience) =>
      deliveries.write({ machineId, publicKey, process, generation }, patienceOf(values, patience)),
    );
    if (delivery === undefined) return undefined;
    // Agents that know names only find the disk by the name that it has now.
    if (delivery.diskName !== undefined && request.type.value) request.type.value.rootDevice = delivery.diskName;
    return request;
  };
}

/** Limit on log lines about one machine's stored request, however often its agent calls. */
const undecodableLines: AttemptRule = { burst: 1, secondsPerAttempt: 60, maxParties: 10_000 };

/**
 * Creates a decoder for stored requests. It returns undefined for a request that cannot be decoded, which is logged,
 * counted, and not given to the agent.
 */
function createRequestDecoder({ observer, noteUndecodable, log }: HeartbeatOptions) {
  const lines = createAttemptLimit(undecodableLines);
  return (
    { generation, request: bytes }: PendingInstallation,
    machineId: string,
  ): OSInstallationRequest | undefined => {
    try {
      const request = readStoredRequest(bytes);
      request.generation = generation;
      return request;
    } catch (error) {
      observer.undecodableRequest();
      noteUndecodable({ machineId, generation });
      if (lines.take(machineId) !== undefined) return undefined;
      log.error(
        { machineId, generation: generation.toString(), err: error },
        "the stored OS installation request cannot be decoded, so no agent is given it: request the installation again",
      );
      return undefined;
    }
  };
}
