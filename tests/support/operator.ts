/** Operators as tests need them: a token of a role, and clients that use it. */

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
  /** Becomes the actor "token:<name>". */
  readonly name: string;
  readonly secret: string;
}

/** Makes a token that is valid until the database goes. */
export async function tokenOf(db: Database, role: AdminRole): Promise<TestToken> {
  const name = `test-${role}-${randomUUID().slice(0, 8)}`;
  const { id, secret, hash } = createSecret();
  await insertAdminToken(db, { id, name, role, secretHash: hash, createdBy: "test" });
  return { name, secret };
}

/** A client of one admin service that sends `secret`, or nothing. Over HTTP/1.1 in Connect's binary form; keeps no connection open. */
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

/** An operator who calls the server at `adminUrl` with `token`. */
export async function connectTo(adminUrl: string, token: string): Promise<Operator> {
  return await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
}
