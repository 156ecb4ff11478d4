/**
 * The product's own checks, writer and statements behind another server, to show what the rest of the product's path
 * contributes.
 */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createHeartbeatWriter, defaultWriterLimits } from "../../src/agent-callback/heartbeat-writer.ts";
import { validateHeartbeat } from "../../src/agent-callback/validate-heartbeat.ts";
import { openHeartbeatStore } from "../../src/db/heartbeat-store.ts";
import type { TakeHeartbeat } from "./take-heartbeat.ts";

/** Creates the handler, with as many connections as the product. */
export function createOurStore(databaseUrl: string): TakeHeartbeat {
  const writer = createHeartbeatWriter(openHeartbeatStore(databaseUrl, defaultWriterLimits));
  const { signal } = new AbortController();
  return async (request, publicKey) => {
    const row = validateHeartbeat(request, { publicKey, remoteAddress: undefined });
    const outcome = await writer.write(row, signal);
    if (outcome.kind !== "counted" || outcome.pending !== undefined) throw new Error(`a heartbeat is ${outcome.kind}`);
    return { nextHeartbeatAfter: durationFromMs(30_000) };
  };
}
