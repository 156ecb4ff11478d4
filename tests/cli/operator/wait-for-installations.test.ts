/**
 * Waiting for installations, through all that can come between: restarts, newer requests, deletions, servers without a
 * watch.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { sql } from "drizzle-orm";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { type Installation, InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "../../../src/cli/operator/admin-client.ts";
import { waitForInstallations } from "../../../src/cli/operator/wait-for-installations.ts";
import { grpcAgent } from "../../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { moveInstallation } from "../../support/installation.ts";
import { machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { scrape } from "../../support/metrics.ts";
import { adminClient, connectTo, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../../support/server.ts";
import { findSteadyAddress } from "../../support/steady-port.ts";
import { waitUntil } from "../../support/wait.ts";

const { PENDING, GIVEN, INSTALLING, OVERDUE, SUCCEEDED, FAILED, SUPERSEDED } = InstallationState;

let database: TestDatabase;
let server: TestServer;
let secret: string;
let operator: Operator;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  ({ secret } = await tokenOf(database.db, "admin"));
  operator = await connectTo(server.adminUrl, secret);
});

/** A wait under way, with all that it told. */
function startWait(by: Operator, installations: readonly Installation[]) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const updates: Installation[] = [];
  const notes: string[] = [];
  const listener = {
    update: (installation: Installation) => void updates.push(installation),
    note: (text: string) => void notes.push(text),
  };
  const result = waitForInstallations(by, installations, listener, stop.signal);
  // A test that fails before it looks at the result must not fail by that, too.
  result.catch(() => {});
  const waitFor = (state: InstallationState) =>
    waitUntil(InstallationState[state] ?? "", () => updates.find((each) => each.state === state));
  return { result, updates, notes, waitFor, stop };
}

async function find(machineId: string, generation: bigint): Promise<Installation> {
  const { installation } = await adminClient(InstallationService, server.adminUrl, secret).getInstallation({
    machineId,
    generation,
  });
  return installation as Installation;
}

async function requested(url = server) {
  const { machineId, key } = await machineWithAgent(database.db);
  const generation = await requestInstallation(database.db, machineId);
  const agent = grpcAgent(url, key);
  onTestFinished(() => agent[Symbol.dispose]());
  return { machineId, key, generation, agent, installation: await find(machineId, generation) };
}

test("tells each step from the request to the success", async () => {
  const { machineId, generation, agent, installation } = await requested();
  const wait = startWait(operator, [installation]);
  await agent.heartbeat({ machineId });
  await wait.waitFor(GIVEN);
  await agent.heartbeat({ machineId, installationProgress: { generation, phase: "writing", percent: 40 } });
  expect(await wait.waitFor(INSTALLING)).toMatchObject({ progress: { phase: "writing", percent: 40 } });
  await agent.heartbeat({ machineId, installationReport: { generation, result: { case: "success", value: {} } } });
  expect((await wait.result).get(machineId)).toMatchObject({ generation, state: SUCCEEDED });
  expect(wait.updates[0]?.state).toBe(PENDING);
  expect(wait.notes).toEqual([]);
});

test("goes on where it was when the server starts again, and misses no outcome in between", async () => {
  const own = await createTestDatabase();
  onTestFinished(() => own.close());
  const address = { BMAAS_ADMIN_LISTEN: await findSteadyAddress() };
  const first = await startTestServer(own.url, address);
  const { machineId, key } = await machineWithAgent(own.db);
  const generation = await requestInstallation(own.db, machineId);
  const { secret: ownSecret } = await tokenOf(own.db, "viewer");
  const viewer = await connectTo(first.adminUrl, ownSecret);
  const { installation } = await viewer.client(InstallationService).getInstallation({ machineId, generation });
  const wait = startWait(viewer, [installation as Installation]);
  {
    using agent = grpcAgent(first, key);
    await agent.heartbeat({ machineId });
    await wait.waitFor(GIVEN);
  }
  await first.close();
  await waitUntil("the wait notices", () => wait.notes.includes("the server is unreachable; waiting for it"));
  await moveInstallation(own.db, machineId, generation, "failed");
  const second = await startTestServer(own.url, address);
  onTestFinished(() => second.close());
  expect((await wait.result).get(machineId)).toMatchObject({ state: FAILED, error: "no such disk" });
});

test("begins anew when the database cannot tell any more what happened in between", async () => {
  const own = await createTestDatabase();
  onTestFinished(() => own.close());
  const first = await startTestServer(own.url);
  const { machineId, key } = await machineWithAgent(own.db);
  const generation = await requestInstallation(own.db, machineId);
  const { secret: ownSecret } = await tokenOf(own.db, "viewer");
  const viewer = await connectTo(first.adminUrl, ownSecret);
  const { installation } = await viewer.client(InstallationService).getInstallation({ machineId, generation });
  const wait = startWait(viewer, [installation as Installation]);
  await waitUntil("it watches", async () => {
    return (await scrape(first.adminUrl, ownSecret)).find("bmaas_watch_subscribers") === 1;
  });
  {
    using agent = grpcAgent(first, key);
    await agent.heartbeat({ machineId });
    await wait.waitFor(GIVEN);
  }
  await first.close();
  await waitUntil("the wait notices", () => wait.notes.includes("the server is unreachable; waiting for it"));
  await own.db.execute(sql`
    insert into history_floor (transaction, history_id) values (pg_current_xact_id(), 9223372036854775807)`);
  const second = await startTestServer(own.url, { BMAAS_ADMIN_LISTEN: new URL(first.adminUrl).host });
  onTestFinished(() => second.close());
  await waitUntil("it watches again", () => wait.notes.includes("the server answers again"));
  await moveInstallation(own.db, machineId, generation, "failed");
  expect((await wait.result).get(machineId)).toMatchObject({ state: FAILED });
});

test("ends when a newer request supersedes the one that is waited for", async () => {
  const { machineId, installation } = await requested();
  const wait = startWait(operator, [installation]);
  await wait.waitFor(PENDING);
  expect(await requestInstallation(database.db, machineId)).toBe(2n);
  expect((await wait.result).get(machineId)).toMatchObject({ generation: 1n, state: SUPERSEDED });
});

test("waits for all of several, each to its own end", async () => {
  const [one, other, deleted] = await Promise.all([requested(), requested(), requested()]);
  const wait = startWait(operator, [one.installation, other.installation, deleted.installation]);
  const { generation } = one;
  await one.agent.heartbeat({ machineId: one.machineId });
  await one.agent.heartbeat({
    machineId: one.machineId,
    installationReport: { generation, result: { case: "success", value: {} } },
  });
  await wait.waitFor(SUCCEEDED);
  await adminClient(MachineService, server.adminUrl, secret).deleteMachine({
    machineId: deleted.machineId,
    force: true,
  });
  await other.agent.heartbeat({ machineId: other.machineId });
  await other.agent.heartbeat({
    machineId: other.machineId,
    installationReport: { generation, result: { case: "error", value: { error: "no disk" } } },
  });
  const waited = await wait.result;
  expect([...waited.values()].map((installation) => installation?.state)).toEqual([SUCCEEDED, FAILED, undefined]);
});

test("ends when an installation is overdue, which may never be heard of again", async () => {
  const { machineId, generation, installation } = await requested();
  await moveInstallation(database.db, machineId, generation, "overdue");
  const wait = startWait(operator, [installation]);
  expect((await wait.result).get(machineId)).toMatchObject({ state: OVERDUE });
});

test("asks again and again where changes cannot be watched", async () => {
  const stranger = createServer((_request, response) => void response.writeHead(404).end()).listen(0, "127.0.0.1");
  await once(stranger, "listening");
  onTestFinished(() => void stranger.close());
  const url = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  const unwatchable: Operator = {
    ...operator,
    client: (service) => adminClient(service, (service as object) === MachineService ? url : server.adminUrl, secret),
  };
  const { machineId, generation, installation } = await requested();
  const wait = startWait(unwatchable, [installation]);
  await moveInstallation(database.db, machineId, generation, "failed");
  expect((await wait.result).get(machineId)).toMatchObject({ state: FAILED });
});

test("fails when the server no longer tells", async () => {
  const { installation } = await requested();
  const nobody = await connectTo(server.adminUrl, "bmaas_revoked");
  await expect(startWait(nobody, [installation]).result).rejects.toThrow(/unauthenticated/);
});

test("ends with what it knows when it is told to", async () => {
  const { machineId, installation } = await requested();
  const wait = startWait(operator, [installation]);
  await wait.waitFor(PENDING);
  wait.stop.abort();
  expect((await wait.result).get(machineId)).toMatchObject({ state: PENDING });
});
