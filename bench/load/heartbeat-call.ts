/** The call that all loads make: an ordinary heartbeat as agents in the field send it. */
import { create, toBinary } from "@bufbuild/protobuf";
import { AgentCallback, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { frameMessage } from "../../src/rpc/wire/grpc-frames.ts";

/** Path of the method, the same in all protocols. */
export const heartbeatPath = `/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`;

/** Returns the body of a heartbeat in gRPC. */
export function toGrpcBody(machineId: string): Buffer {
  return frameMessage(toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId })));
}

/** Returns the body of a heartbeat in Connect's JSON. */
export function toJsonBody(machineId: string): Buffer {
  return Buffer.from(JSON.stringify({ machineId }));
}
