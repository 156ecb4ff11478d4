/**
 * The work that every server in the comparisons on the wire does for a call: decode a heartbeat, and answer with the
 * time of the next one.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type HeartbeatRequest,
  HeartbeatRequestSchema,
  HeartbeatResponseSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** Heartbeat that callers send. */
export const request = create(HeartbeatRequestSchema, {
  machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
  agentVersion: "1.0.0",
});

const intervalSeconds = 30n;

/** Answers a heartbeat. Refuses one without a machine id, so that no server can skip the decoding. */
export function heartbeat({ machineId }: Pick<HeartbeatRequest, "machineId">) {
  if (machineId.length !== 36) throw new Error("no machine id");
  return { nextHeartbeatAfter: { seconds: intervalSeconds } } satisfies MessageInitShape<
    typeof HeartbeatResponseSchema
  >;
}

/** Answers a heartbeat in protobuf's binary form. */
export function heartbeatOnBytes(bytes: Uint8Array): Uint8Array {
  const answer = heartbeat(fromBinary(HeartbeatRequestSchema, bytes));
  return toBinary(HeartbeatResponseSchema, create(HeartbeatResponseSchema, answer));
}
