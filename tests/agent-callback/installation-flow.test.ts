/**
 * The main job, by every way in which an agent can speak: nothing pending, a request handed out until it is reported,
 * then the next.
 */
import { describe, expect, test } from "vitest";
import type { HeartbeatResponse } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { grpcAgent, type SignedProtocol, signingAgent, type TestAgent } from "../support/agents.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine, testImage } from "../support/machine.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();

const ways: Record<string, (machine: TestMachine) => TestAgent> = {
  "gRPC with an Ed25519 certificate": ({ key }) => grpcAgent(server, key),
  ...Object.fromEntries(
    (["grpc-web", "connect-json", "connect-binary"] satisfies SignedProtocol[]).map((protocol) => [
      `${protocol} with a signature`,
      (machine: TestMachine) => signingAgent(server, machine, protocol),
    ]),
  ),
};

describe.each(Object.entries(ways))("by %s", (_name, createAgent) => {
  test("hands out each request until it is reported", async () => {
    const machine = await machineWithAgent(database.db);
    using agent = createAgent(machine);
    const { machineId } = machine;
    const beat = () => agent.heartbeat({ machineId });

    expect((await beat()).installationRequest).toBeUndefined();

    for (const generation of [123n, 234n]) {
      await requestInstallation(database.db, machineId, generation);
      for (let time = 0; time < 3; time++) expectRequest(await beat(), generation);
      const answer = await agent.heartbeat({
        machineId,
        installationReport: { generation, result: { case: "success", value: {} } },
      });
      expect(answer.installationRequest).toBeUndefined();
      expect((await beat()).installationRequest).toBeUndefined();
    }

    const { report, history, heartbeat } = await readTags(database, machineId);
    expect(report).toMatchObject({ generation: 234n, result: "success", error: null });
    expect(Date.now() - (heartbeat?.heartbeatAt.getTime() ?? 0)).toBeLessThan(60_000);
    expect(history.map((event) => [event.kind, event.detail.generation])).toEqual([
      ["machine_created", undefined],
      ["agent_registered", undefined],
      ["installation_requested", "123"],
      ["installation_given", "123"],
      ["installation_reported", "123"],
      ["installation_requested", "234"],
      ["installation_given", "234"],
      ["installation_reported", "234"],
    ]);
    expect(history.at(-1)?.actor).toBe(`agent:${machine.key.publicKeyHex}`);
  });
});

function expectRequest(answer: HeartbeatResponse, generation: bigint): void {
  expect(answer.installationRequest).toMatchObject({ generation, type: { case: "image", value: testImage } });
}
