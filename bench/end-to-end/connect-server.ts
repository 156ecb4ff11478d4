/**
 * `connect-server.ts FOLDER` serves heartbeats with Connect's plugin for Fastify, as its documentation shows, over TLS.
 * It asks for a client certificate, but ignores it and writes nothing. It prints its port on a line when it serves.
 */
import type { AddressInfo } from "node:net";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { fastify } from "fastify";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";

const host = "127.0.0.1";
/** The same as in bmaas. */
const idleTimeoutMs = 120_000;
const { cert, key } = await ensureDevelopmentTls(process.argv[2] ?? "", [host]);
const app = fastify({
  http2: true,
  https: { cert, key, allowHTTP1: true, requestCert: true, rejectUnauthorized: false },
  http2SessionTimeout: idleTimeoutMs,
});
// Node accepts this HTTP/1.1 option here, but Fastify's types know only those of HTTP/2.
Object.assign(app.server, { keepAliveTimeout: idleTimeoutMs });
await app.register(fastifyConnectPlugin, {
  routes: (router) => router.service(AgentCallback, { heartbeat: () => ({ nextHeartbeatAfter: { seconds: 30n } }) }),
});
await app.listen({ host, port: 0 });
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`);
