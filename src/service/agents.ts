/** Builds the agents' side: heartbeats, by either proof of who sends them. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAuthenticate } from "../agent-callback/authenticate.ts";
import { createHeartbeat } from "../agent-callback/heartbeat.ts";
import type { DeliveryWriter, HeartbeatWriter } from "../agent-callback/heartbeat-writer.ts";
import { createSignatureVerifier } from "../agent-callback/identity/signature-identity.ts";
import type { Config } from "../config.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import { findKnownError } from "../error-table.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { createAgentListener } from "../rpc/agent-listener.ts";
import { createErrorInterceptor, createErrorMapper } from "../rpc/error-mapping.ts";
import type { ListenerTls } from "../rpc/listener.ts";
import { listOwnAuthorities } from "../rpc/own-authority.ts";
import { getAddress } from "./address.ts";

/** What the agents' side works with. */
export interface AgentsContext {
  readonly store: HeartbeatStore;
  readonly writers: { readonly heartbeats: HeartbeatWriter; readonly deliveries: DeliveryWriter };
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Builds the listener without opening its port. */
export function createAgents(config: Config, tls: ListenerTls | undefined, context: AgentsContext): FastifyInstance {
  const { store, writers, metrics, log } = context;
  const toConnectError = createErrorMapper(findKnownError, log);
  const { heartbeats: writer, deliveries } = writers;
  const heartbeat = createHeartbeat({ writer, deliveries, observer: metrics.heartbeats, log });
  const verifySignature = createSignatureVerifier({
    isOwnAuthority: (authority) => authorities().includes(authority),
    now: Date.now,
    findPublicKey: (machineId) => store.findPublicKey(machineId),
  });
  const listener = createAgentListener({
    tls,
    method: AgentCallback.method.heartbeat,
    routes: (router) => router.service(AgentCallback, { heartbeat }),
    authenticate: createAuthenticate(verifySignature, metrics.heartbeats, log),
    interceptors: [createErrorInterceptor(toConnectError)],
    toConnectError,
    unaryLane: config.unaryLane,
    onCall: metrics.calls.onCall,
    onUnserved: metrics.calls.onUnserved,
    log,
  });
  // The port is known once the listener is bound, which is before anybody can call.
  const authorities = () => config.agentAuthorities ?? listOwnAuthorities(getAddress(listener));
  return listener;
}
