/** What of the client library runs in a browser; nothing here imports anything of Node. */
export { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
export { AgentKey, createAgentKey, generateAgentKey } from "./agent-key.ts";
export { type OutgoingRequest, type RequestSigner, signRequest } from "./request-signing.ts";
export { createSigningAgentClient, type SigningAgentClientOptions } from "./signing-agent-client.ts";
export { SigningClock } from "./signing-clock.ts";
export { createSigningFetch, type SigningFetchOptions } from "./signing-fetch.ts";
