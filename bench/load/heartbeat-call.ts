/** The call that all loads make: an ordinary heartbeat, as agents in the field send it. */
import { create, toBinary } from "@bufbuild/protobuf";
import { AgentCallback, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { frameMessage } from "../../src/rpc/wire/grpc-frames.ts";

/** The method's path, the same in all protocols. */
export const heartbeatPath = `/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`;

/** A gRPC body. */
export function toGrpcBody(machineId: string): Buffer {
  return frameMessage(toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId })));
}

/** A body of Connect's JSON. */
export function toJsonBody(machineId: string): Buffer {
  return Buffer.from(JSON.stringify({ machineId }));
}
