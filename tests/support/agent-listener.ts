/**
 * Starts only the agents' listener, with a handler of the test, so that tests can change its limits and need not wait
 * for minutes.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { pino } from "pino";
import {
  AgentCallback,
  type HeartbeatRequest,
  type HeartbeatResponseSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentListenerOptions, createAgentListener } from "../../src/rpc/agent-listener.ts";
import { createErrorMapper } from "../../src/rpc/calls/error-mapping.ts";
import { prepareClose } from "../../src/rpc/connections/close-listener.ts";
import { defaultLimits, type ListenerLimits } from "../../src/rpc/limits.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { makeFolder } from "./program.ts";
import { unaryLane } from "./unary-lane.ts";

/** Handler that answers a heartbeat. */
export type HeartbeatHandler = (
  request: HeartbeatRequest,
  context: HandlerContext,
) => MessageInitShape<typeof HeartbeatResponseSchema> | Promise<MessageInitShape<typeof HeartbeatResponseSchema>>;

/** A running listener. */
export interface TestListener extends AsyncDisposable {
  readonly agentUrl: string;
  readonly host: string;
  /** Empty without TLS. */
  readonly ca: string;
  /** Returns the number of its connections. */
  countConnections(): Promise<number>;
}

/** Options of a listener; everything else is as in a server. */
export interface TestListenerOptions
  extends Partial<
    Pick<
      AgentListenerOptions,
      "authenticate" | "interceptors" | "log" | "onCall" | "proxies" | "tickets" | "toConnectError"
    >
  > {
  readonly limits?: Partial<ListenerLimits>;
  /** Default: on, with a certificate of the development CA. */
  readonly tls?: boolean;
  readonly heartbeat?: HeartbeatHandler;
  readonly unaryLane?: "on" | "off";
}

/** Starts a listener. Without `authenticate`, it accepts every caller without proof. */
export async function startAgentListener(options: TestListenerOptions = {}): Promise<TestListener> {
  const tls = options.tls === false ? undefined : await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const { log = pino({ level: "silent" }) } = options;
  const listener = createAgentListener({
    tls,
    routes: (router) => router.service(AgentCallback, { heartbeat: options.heartbeat ?? (() => ({})) }),
    authenticate: options.authenticate ?? (() => () => {}),
    interceptors: options.interceptors ?? [],
    toConnectError: options.toConnectError ?? createErrorMapper(() => undefined, log),
    proxies: options.proxies,
    tickets: options.tickets,
    log,
    limits: { ...defaultLimits, ...options.limits },
    unaryLane: options.unaryLane ?? unaryLane,
    ...(options.onCall && { onCall: options.onCall }),
  });
  const close = prepareClose(listener);
  const agentUrl = await listener.listen({ host: "127.0.0.1", port: 0 });
  return {
    agentUrl,
    host: new URL(agentUrl).host,
    ca: tls?.ca ?? "",
    countConnections: () =>
      new Promise((resolve, reject) => {
        listener.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    [Symbol.asyncDispose]: close,
  };
}
