/**
 * Heartbeats behind Connect's own plugin for Fastify, as its documentation has it, over TLS: `connect-server.ts FOLDER`. It asks for a
 * client certificate, looks at none and writes nothing. Prints its port on a line when it serves.
 */
import type { AddressInfo } from "node:net";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { fastify } from "fastify";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";

const host = "127.0.0.1";
/** As bmaas has it. */
const idleTimeoutMs = 120_000;
const { cert, key } = await ensureDevelopmentTls(process.argv[2] ?? "", [host]);
const app = fastify({
  http2: true,
  https: { cert, key, allowHTTP1: true, requestCert: true, rejectUnauthorized: false },
  http2SessionTimeout: idleTimeoutMs,
});
// Node takes this option of HTTP/1.1 here; Fastify's types know those of HTTP/2 only.
Object.assign(app.server, { keepAliveTimeout: idleTimeoutMs });
await app.register(fastifyConnectPlugin, {
  routes: (router) => router.service(AgentCallback, { heartbeat: () => ({ nextHeartbeatAfter: { seconds: 30n } }) }),
});
await app.listen({ host, port: 0 });
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`);
