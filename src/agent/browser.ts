/** The part of the client library that runs in browsers. Nothing here imports Node's modules. */
export { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
export { AgentKey, createAgentKey, generateAgentKey } from "./agent-key.ts";
export { type OutgoingRequest, type RequestSigner, signRequest } from "./request-signing.ts";
export {
  createSigningAgentClient,
  createSigningEnrolmentClient,
  type SigningAgentClientOptions,
} from "./signing-agent-client.ts";
export { SigningClock } from "./signing-clock.ts";
export { createSigningFetch, type SigningFetchOptions } from "./signing-fetch.ts";
