import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { RequestInstallationRequestSchema } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { inBatches } from "../../../src/cli/operator/act-in-batches.ts";
import { actOnEach } from "../../../src/cli/operator/act-on-each.ts";
import type { Operator } from "../../../src/cli/operator/admin-client.ts";

const operator = {
  server: { url: "https://old.example", token: "secret", tokenSource: "--token", isOnLoopback: false },
} as unknown as Operator;
const targets = Array.from({ length: 2_500 }, () => ({ machineId: randomUUID() }));

/** Acts at a server that answers a call for one machine as `answer` does, and knows no batches. */
async function actAtOldServer(answer: (machineId: string, call: number) => string) {
  const calls = { batches: 0, single: [] as string[] };
  const act = inBatches({
    schema: RequestInstallationRequestSchema,
    toRequest: ({ machineId }) => ({ machineId }),
    send: async ({ machineId = "" }) => {
      calls.single.push(machineId);
      return answer(machineId, calls.single.length);
    },
    sendBatch: async (): Promise<{ answers: string[]; failedRequests: Record<number, never> }> => {
      calls.batches += 1;
      throw new ConnectError("unknown method", Code.Unimplemented);
    },
    toAnswer: (text) => text,
  });
  return { calls, outcomes: await actOnEach(operator, targets, act) };
}

describe("at a server that knows no batches", () => {
  test("each machine is acted on once, and the outcomes are in the targets' order", async () => {
    const { calls, outcomes } = await actAtOldServer((machineId) => `done ${machineId}`);
    expect(calls.batches).toBeLessThanOrEqual(3);
    expect(calls.single.toSorted()).toEqual(targets.map(({ machineId }) => machineId).toSorted());
    expect(outcomes).toEqual(targets.map((target) => ({ target, value: `done ${target.machineId}` })));
  });

  test("a machine's failure is its own, and what fails for all machines ends the tries", async () => {
    const { calls, outcomes } = await actAtOldServer((machineId, call) => {
      if (call === 3) throw new ConnectError("no such machine", Code.NotFound);
      if (call >= 10) throw new ConnectError("not allowed", Code.PermissionDenied);
      return machineId;
    });
    expect(calls.single.length).toBeLessThan(15);
    const failures = outcomes.flatMap(({ failure }) => failure?.message ?? []);
    expect(failures.filter((message) => message.includes("no such machine"))).toHaveLength(1);
    expect(failures.filter((message) => message.startsWith("not tried: "))).toHaveLength(2_500 - calls.single.length);
    expect(outcomes.filter(({ value }) => value !== undefined)).toHaveLength(8);
  });
});
