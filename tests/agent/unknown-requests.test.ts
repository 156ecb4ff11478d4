/** Requests that an agent does not know, as a newer server may make them: nothing is run for them. */
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { openInstallState } from "../../src/agent/install-state.ts";
import { requestInstallations } from "../../src/db/queries/os-installation-request.ts";
import { transact } from "../../src/db/transact.ts";
import { readInstallation } from "../support/installation.ts";
import { machineWithAgent } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { machineId, requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const error = "this agent does not know what is asked for";

/** Asks for each request until it is reported, as the real server does. */
function askingUntilReported(...requests: { readonly generation: bigint }[]): Script {
  const open = [...requests];
  return ({ installationReport }) => {
    if (installationReport?.generation === open[0]?.generation) open.shift();
    return open[0] === undefined ? {} : { installationRequest: open[0] };
  };
}

describe("a request", () => {
  test.each([
    ["without a type that the agent knows", { generation: 5n }],
    ["of generation 0", requestOf(0n)],
    ["of a negative generation", requestOf(-(2n ** 63n))],
  ])("%s runs no command, and is reported as unknown at once", async (_which, request) => {
    const server = await startHeartbeatServer(askingUntilReported(request));
    const afterInstall = async () => "must not run";
    const agent = await startAgent(server, await temporaryFolder(), { afterInstall });
    await agent.happened("report-accepted");
    await agent.happened("heartbeat", 4);
    expect(agent.installed).toEqual([]);
    const reports = server.requests.flatMap(({ installationReport }) => installationReport ?? []);
    expect(reports).toMatchObject([{ generation: request.generation, result: { case: "error", value: { error } } }]);
    expect(agent.events).toContainEqual({
      type: "request-unknown",
      outcome: { generation: request.generation, error },
    });
    expect(agent.events.some(({ type }) => type === "installation-started" || type === "after-install")).toBe(false);
    // Nothing was waited for before the outcome was told.
    expect(agent.pauses[0]).toBeGreaterThan(10_000);
    expect(server.requests[1]?.installationReport).toBeDefined();
  });

  test("that is known runs after one that was not", async () => {
    const server = await startHeartbeatServer(askingUntilReported({ generation: 5n }, requestOf(6n)));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted", 2);
    expect(agent.installed).toEqual([6n]);
  });

  test("that was not known is reported over a restart, and not run when another one comes under its number", async () => {
    const folder = await temporaryFolder();
    const state = await openInstallState(join(folder, "state.json"), machineId);
    await state.recordRefusal(5n, "digest", error);
    state.close();
    const server = await startHeartbeatServer(askingUntilReported(requestOf(5n)));
    const agent = await startAgent(server, folder);
    await agent.happened("report-accepted");
    expect(server.requests[0]?.installationReport?.result).toMatchObject({ value: { error } });
    expect(agent.installed).toEqual([]);
  });

  test("is not reported before that is on disk", async () => {
    const server = await startHeartbeatServer(() => ({ installationRequest: { generation: 5n } }));
    const folder = await temporaryFolder();
    const agent = await startAgent(server, folder);
    await agent.happened("request-unknown");
    await agent.stop();
    const state = await openInstallState(join(folder, "state.json"), machineId);
    expect(state.lastAttempted).toBe(5n);
    state.close();
  });
});

test("a real server counts such an installation as failed, and explains it without advising a retry", async () => {
  const { database, server } = await startServerWithDatabase();
  const { machineId: id, key } = await machineWithAgent(database.db);
  // Field 18 is a type that only a newer server knows.
  const type = Buffer.from([0x92, 0x01, 0x02, 0x0a, 0x00]);
  const encode = (generation: bigint) =>
    Buffer.concat([toBinary(OSInstallationRequestSchema, create(OSInstallationRequestSchema, { generation })), type]);
  await transact(database.db, (tx) =>
    requestInstallations(tx, [{ machineId: id, generation: undefined, encode }], "test"),
  );
  const client = createAgentClient({ endpoint: server.agentUrl, key, ca: server.ca });
  const agent = await startAgent({ url: server.agentUrl, ca: server.ca }, await temporaryFolder(), {
    machineId: id,
    client,
  });
  await agent.happened("report-accepted");
  expect(agent.installed).toEqual([]);
  expect(await readInstallation(database, id, 1n)).toMatchObject({ result: "error", error });
  const viewer = await tokenOf(database.db, "viewer");
  const explained = await adminClient(MachineService, server.adminUrl, viewer.secret).explainMachine({ machineId: id });
  expect(explained.condition).toContain(error);
  expect(explained.remedies.some(({ command }) => command.includes("install retry"))).toBe(false);
});
