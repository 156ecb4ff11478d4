import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createSimulatedIdentity } from "../../src/simulate/fleet-identities.ts";
import { registerFleet } from "../../src/simulate/register-fleet.ts";

test("when a batch fails, the others end with it and none follows", async () => {
  const [identity] = [createSimulatedIdentity(Buffer.alloc(32, 1), 0)];
  const identities = Array.from({ length: 3_000 }, () => identity);
  let calls = 0;
  const ended: unknown[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(MachineService, {
      batchCreateMachines: async (_request, { signal }) => {
        calls += 1;
        if (calls === 2) throw new ConnectError("the disk is full", Code.ResourceExhausted);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.push(signal.aborted);
        return {};
      },
    });
    service(AgentService, {});
  });
  const registering = registerFleet({
    identities,
    machines: createClient(MachineService, transport),
    agents: createClient(AgentService, transport),
    concurrency: 2,
    signal: new AbortController().signal,
  });
  await expect(registering).rejects.toThrow("the disk is full");
  expect([calls, ended]).toEqual([2, [true]]);
});
