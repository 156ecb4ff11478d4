/** The client of agents that sign their requests, for browsers and for machines behind a proxy that ends TLS. */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { EnrolmentService } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createSigningFetch, type SigningFetchOptions } from "./signing-fetch.ts";

/** Options of `createSigningAgentClient`. */
export interface SigningAgentClientOptions extends SigningFetchOptions {
  readonly machineId: string;
  /** URL of the agents' listener as the client reaches it, since the signature covers its host. */
  readonly endpoint: string;
}

/** Creates a client that uses the Connect protocol over fetch and proves its key by an HTTP message signature. */
export function createSigningAgentClient(options: SigningAgentClientOptions): Client<typeof AgentCallback> {
  return createClient(AgentCallback, createSigningTransport(options));
}

/** Creates a client, as `createSigningAgentClient` does, for an agent that has no machine id yet. */
export function createSigningEnrolmentClient(
  options: Omit<SigningAgentClientOptions, "machineId">,
): Client<typeof EnrolmentService> {
  return createClient(EnrolmentService, createSigningTransport({ ...options, machineId: undefined }));
}

function createSigningTransport(options: SigningFetchOptions & Pick<SigningAgentClientOptions, "endpoint">): Transport {
  return createConnectTransport({
    baseUrl: options.endpoint,
    useBinaryFormat: true,
    fetch: createSigningFetch(options),
  });
}
