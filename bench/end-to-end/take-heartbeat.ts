/** What a peer of the whole path does with a heartbeat, behind whatever server. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HeartbeatRequest, HeartbeatResponseSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** Answers a heartbeat whose caller holds the private half of `publicKey`; rejects when that is not its machine's. */
export type TakeHeartbeat = (
  request: HeartbeatRequest,
  publicKey: Uint8Array,
) => Promise<MessageInitShape<typeof HeartbeatResponseSchema>>;
