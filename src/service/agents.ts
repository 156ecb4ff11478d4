/** Builds the agents' side of the server: heartbeats and enrolments, with either kind of proof. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { EnrolmentService } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAdmission } from "../agent-callback/admission/admission.ts";
import { createUrgencyTest } from "../agent-callback/admission/urgent-calls.ts";
import { createAuthenticate } from "../agent-callback/authenticate.ts";
import { noteCallEnd } from "../agent-callback/call-patience.ts";
import { createAuthenticateEnrolment } from "../agent-callback/enrolment/authenticate-enrolment.ts";
import { createEnrol } from "../agent-callback/enrolment/enrol.ts";
import { createHeartbeat } from "../agent-callback/heartbeat.ts";
import type { DeliveryWriter, HeartbeatWriter } from "../agent-callback/heartbeat-writer.ts";
import { createRefusalLog, type LogRefusal } from "../agent-callback/identity/agent-identity.ts";
import { createKeySignatureVerifier } from "../agent-callback/identity/key-signature-identity.ts";
import { createSignatureChecks } from "../agent-callback/identity/signature-checks.ts";
import { createSignatureVerifier } from "../agent-callback/identity/signature-identity.ts";
import { createStrangerLimit } from "../agent-callback/stranger-limit.ts";
import { createTroubleNotes } from "../agent-callback/trouble-notes.ts";
import type { Config } from "../config/config.ts";
import type { Database } from "../db/client.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { createAgentListener } from "../rpc/agent-listener.ts";
import { listOwnAuthorities } from "../rpc/callers/own-authority.ts";
import { createErrorMapper } from "../rpc/calls/error-mapping.ts";
import type { ListenerTls } from "../rpc/listener.ts";
import { sendReadyAnswers } from "../rpc/unary-lane/answer-burst.ts";
import { createTicketKeys, type TicketSecret } from "../tls/ticket-secret.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { getAddress } from "./address.ts";
import { findKnownError } from "./error-table.ts";
import { paceAgents } from "./pace-agents.ts";

/** Dependencies of the agents' side. */
export interface AgentsContext {
  /** A secret, from which the keys of session tickets are derived. Absent: no tickets. */
  readonly ticketSecret?: TicketSecret | undefined;
  /** Connections for enrolments and notes of trouble, which must not occupy those of heartbeats. */
  readonly db: Database;
  readonly store: HeartbeatStore;
  readonly writers: { readonly heartbeats: HeartbeatWriter; readonly deliveries: DeliveryWriter };
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly log: Logger;
}

const enrolPath = `/${EnrolmentService.typeName}/${EnrolmentService.method.enrol.name}`;

/** Returns the method of a call by its path. The listener serves no others. */
function findMethod(path: string) {
  return path === enrolPath ? EnrolmentService.method.enrol : AgentCallback.method.heartbeat;
}

/** Builds the agents' listener without opening its port. */
export function createAgents(config: Config, tls: ListenerTls | undefined, context: AgentsContext): FastifyInstance {
  const { ticketSecret, db, store, writers, metrics, tracing, log } = context;
  const toConnectError = createErrorMapper(findKnownError, log);
  const { heartbeats: writer, deliveries } = writers;
  const checks = createSignatureChecks();
  const strangers = createStrangerLimit(log);
  const isUrgent = createUrgencyTest(strangers);
  const admission = createAdmission({
    writer,
    checks,
    isUrgent,
    slowdown: () => pacer.slowdown,
    random: Math.random,
    observer: metrics.heartbeats,
    beforeSlice: sendReadyAnswers,
  });
  const notes = createTroubleNotes(db, log);
  const refusalLog = createRefusalLog(log);
  const logRefusal: LogRefusal = (refusal, address) => {
    refusalLog(refusal, address);
    notes.keyRefused(refusal, address);
  };
  const { pacer, close: stopPacing } = paceAgents(config.heartbeatIntervalMs, writer, admission);
  const heartbeat = createHeartbeat({
    writer,
    deliveries,
    pacer,
    strangers,
    observer: metrics.heartbeats,
    logRefusal,
    noteUndecodable: notes.requestUndecodable,
    minVersion: config.agentMinVersion,
    log,
  });
  const enrol = createEnrol({
    db,
    reenrolment: config.reenrolment,
    expected: config.enrolExpected,
    pacer,
    observer: metrics.enrolments,
    logRefusal,
    log,
  });
  const isOwnAuthority = (authority: string) => authorities().includes(authority);
  const readPublicKeys = (machineIds: readonly string[]) => store.readPublicKeys(machineIds);
  const authenticateHeartbeat = createAuthenticate({
    verifySignature: createSignatureVerifier({ isOwnAuthority, now: Date.now, readPublicKeys, checks }),
    strangers,
    isUrgent,
    readMachineIds: (publicKeys) => store.readMachineIds(publicKeys),
    observer: metrics.heartbeats,
    logRefusal,
  });
  const authenticateEnrolment = createAuthenticateEnrolment({
    verifySignature: createKeySignatureVerifier({ isOwnAuthority, now: Date.now, checks }),
    strangers,
    observer: metrics.enrolments,
    logRefusal,
  });
  const authenticate = admission.guard((connection, values) => {
    // It also reads the connection's certificate, which an enrolment needs as well.
    const finish = authenticateHeartbeat(connection, values);
    return (call) => (call.path === enrolPath ? authenticateEnrolment(call, connection, values) : finish(call));
  });
  const listener = createAgentListener({
    tls,
    tickets: ticketSecret === undefined ? "off" : createTicketKeys(ticketSecret),
    proxies: config.agentProxies,
    routes: (router) => {
      router.service(AgentCallback, { heartbeat });
      router.service(EnrolmentService, { enrol });
    },
    authenticate: tracing?.traceAuthenticate(findMethod, authenticate) ?? authenticate,
    interceptors: tracing === undefined ? [] : [tracing.interceptor],
    toConnectError,
    unaryLane: config.unaryLane,
    onCall: (record) => {
      noteCallEnd(record);
      admission.noteCall(record);
      strangers.noteCall(record);
      metrics.calls.onCall(record);
      tracing?.onCall(record);
    },
    onUnserved: metrics.calls.onUnserved,
    log,
  });
  // The port is known once the listener is bound, before any agent can call.
  let known = config.agentAuthorities;
  const authorities = () => {
    known ??= listOwnAuthorities(getAddress(listener));
    return known;
  };
  // A draining listener no longer has an address.
  listener.addHook("onListen", async () => void authorities());
  listener.addHook("onClose", async () => stopPacing());
  return listener;
}
