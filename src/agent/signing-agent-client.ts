/** The client of agents that sign their requests, for browsers and for machines behind a proxy that ends TLS. */
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createSigningFetch, type SigningFetchOptions } from "./signing-fetch.ts";

/** What a signing client takes. */
export interface SigningAgentClientOptions extends SigningFetchOptions {
  /** URL of the agents' listener, as the client reaches it: the signature names its host. */
  readonly endpoint: string;
}

/** Makes a client that speaks the Connect protocol by fetch and proves its key by an HTTP message signature. */
export function createSigningAgentClient(options: SigningAgentClientOptions): Client<typeof AgentCallback> {
  const transport = createConnectTransport({
    baseUrl: options.endpoint,
    useBinaryFormat: true,
    fetch: createSigningFetch(options),
  });
  return createClient(AgentCallback, transport);
}
