/** Checks that a server does the work before it is timed. */
import { toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AgentCallback, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { heartbeatPath } from "../load/heartbeat-call.ts";
import { heartbeat, request } from "./work.ts";

/** Throws unless the server at the URL answers a heartbeat as `heartbeat` in work.ts does. */
export type AssertAnswer = (url: string) => Promise<void>;

const expected = heartbeat(request).nextHeartbeatAfter.seconds;

/** Checks the answer by gRPC, without verifying the server's certificate. */
export async function assertGrpcAnswer(url: string): Promise<void> {
  const nodeOptions = { rejectUnauthorized: false };
  const transport = createGrpcTransport({ baseUrl: url, nodeOptions, pingIdleConnection: false });
  const { nextHeartbeatAfter } = await createClient(AgentCallback, transport).heartbeat(request);
  assertEqual(nextHeartbeatAfter?.seconds, expected);
}

/** Checks the answer by Connect's JSON. */
export async function assertJsonAnswer(url: string): Promise<void> {
  const answer = await fetch(new URL(heartbeatPath, url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(toJson(HeartbeatRequestSchema, request)),
  });
  const { nextHeartbeatAfter } = (await answer.json()) as { nextHeartbeatAfter?: string };
  assertEqual(nextHeartbeatAfter, `${expected}s`);
}

function assertEqual(answer: unknown, right: unknown): void {
  if (answer !== right) throw new Error(`the server answers ${String(answer)}, not ${String(right)}`);
}
