/** A real server for agents whose answers a test decides: gRPC over TLS, asking for a client certificate. */
import { createPublicKey, generateKeyPairSync, type X509Certificate } from "node:crypto";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import {
  AgentCallback,
  type HeartbeatRequest,
  type HeartbeatResponseSchema,
} from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { issueCertificate, noExpiry, serverExtensions } from "../../../src/tls/issue-certificate.ts";

type Answer = MessageInitShape<typeof HeartbeatResponseSchema>;

/** Answers the nth heartbeat, counted from 0; throws to refuse it. */
export type Script = (request: HeartbeatRequest, index: number) => Answer | Promise<Answer>;

/** A running server. */
export interface HeartbeatServer {
  readonly url: string;
  readonly ca: string;
  /** All heartbeats so far. */
  readonly requests: HeartbeatRequest[];
  /** The certificates that the connections showed. */
  readonly peers: (X509Certificate | undefined)[];
  /** Drops all connections and listens no more. */
  stop(): Promise<void>;
}

const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const issuer = { name: "test", privateKey: keys.privateKey };
const certificate = issueCertificate(
  {
    subject: "test",
    publicKey: keys.publicKey,
    notBefore: new Date(0),
    notAfter: noExpiry,
    extensions: serverExtensions(createPublicKey(keys.privateKey), issuer, ["127.0.0.1"]),
  },
  issuer,
).toString();

/** Key and certificate of a server on the loopback; who trusts the certificate trusts the server. */
export const loopbackTls = {
  key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  cert: certificate,
};

/** Starts a server on a port (0: any) of the loopback. */
export async function startHeartbeatServer(script: Script, port = 0): Promise<HeartbeatServer> {
  const requests: HeartbeatRequest[] = [];
  const peers: (X509Certificate | undefined)[] = [];
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(AgentCallback, { heartbeat: (request) => script(request, requests.push(request) - 1) }),
  });
  const server = createSecureServer({ ...loopbackTls, requestCert: true, rejectUnauthorized: false }, handler);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    peers.push((session.socket as TLSSocket).getPeerX509Certificate());
    session.once("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = async () => {
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(stop);
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: certificate, requests, peers, stop };
}
