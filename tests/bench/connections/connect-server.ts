/** Connect as anybody would mount it on Fastify, with the agents' TLS: `connect-server.ts CERT KEY`. Prints its port on a line. */
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { fastify } from "fastify";
import { AgentCallback } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { heartbeat } from "../wire/work.ts";

const [certFile = "", keyFile = ""] = process.argv.slice(2);
const idleTimeoutMs = 120_000;
const listener = fastify({
  http2: true,
  http2SessionTimeout: idleTimeoutMs,
  https: {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    allowHTTP1: true,
    requestCert: true,
    rejectUnauthorized: false,
  },
});
// Node takes this option of HTTP/1.1 here; Fastify's types know those of HTTP/2 only.
Object.assign(listener.server, { keepAliveTimeout: idleTimeoutMs });
await listener.register(fastifyConnectPlugin, { routes: (router) => router.service(AgentCallback, { heartbeat }) });
await listener.listen({ host: "127.0.0.1", port: 0 });
process.stdout.write(`${(listener.server.address() as AddressInfo).port}\n`);
