/** Whether a server does the work at all, before it is timed. */
import { toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AgentCallback, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { heartbeat, path, request } from "./work.ts";

/** Throws unless the server on the port answers a call of the protocol as `heartbeat` says. */
export type AssertAnswer = (port: number) => Promise<void>;

const expected = heartbeat(request).nextHeartbeatAfter.seconds;

/** By gRPC. */
export async function assertGrpcAnswer(port: number): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, pingIdleConnection: false });
  const { nextHeartbeatAfter } = await createClient(AgentCallback, transport).heartbeat(request);
  assertEqual(nextHeartbeatAfter?.seconds, expected);
}

/** By Connect's JSON. */
export async function assertJsonAnswer(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
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
