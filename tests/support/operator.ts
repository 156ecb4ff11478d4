/** Creates tokens of a given role for tests, and clients that use them. */

import { randomUUID } from "node:crypto";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createSecret } from "../../src/admin/authorization/token-secret.ts";
import { connectOperator, type Operator } from "../../src/cli/operator/admin-client.ts";
import { loadConfig } from "../../src/config/config.ts";
import type { Database } from "../../src/db/client.ts";
import { type AdminRole, insertAdminToken } from "../../src/db/queries/admin-token.ts";

/** A token and its name. */
export interface TestToken {
  /** Name of the token; the actor is "token:<name>". */
  readonly name: string;
  readonly secret: string;
}

/** Creates a token that does not expire. */
export async function tokenOf(db: Database, role: AdminRole): Promise<TestToken> {
  const name = `test-${role}-${randomUUID().slice(0, 8)}`;
  const { id, secret, hash } = createSecret();
  await insertAdminToken(db, { id, name, role, secretHash: hash, createdBy: "test" });
  return { name, secret };
}

/**
 * Returns a client of one admin service that sends the token `secret`, or none. It uses Connect's binary form over
 * HTTP/1.1, and keeps no connection open.
 */
export function adminClient<Service extends DescService>(
  service: Service,
  adminUrl: string,
  secret?: string,
): Client<Service> {
  const authenticate: Interceptor = (next) => (request) => {
    if (secret !== undefined) request.header.set("authorization", `Bearer ${secret}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: adminUrl,
    httpVersion: "1.1",
    interceptors: [authenticate],
    nodeOptions: { agent: false },
  });
  return createClient(service, transport);
}

/** Returns the clients of an operator who calls the server at `adminUrl` with `token`. */
export async function connectTo(adminUrl: string, token: string): Promise<Operator> {
  return await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
}
