/** Interface between a compared server and its handling of heartbeats. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeartbeatRequest, HeartbeatResponseSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** Answers a heartbeat whose caller holds the private key of `publicKey`. Rejects if that is not its machine's key. */
export type TakeHeartbeat = (
  request: HeartbeatRequest,
  publicKey: Uint8Array,
) => Promise<MessageInitShape<typeof HeartbeatResponseSchema>>;
