/** What a server does when five times as much comes as it can serve, from callers who obey nobody. */
import { expect, test } from "vitest";
import { registerCallers, seedFleet } from "../../bench/end-to-end/seed-fleet.ts";
import { createBenchIdentity, listCallers } from "../../bench/load/fleet.ts";
import { Http1Load } from "../../bench/load/http1-load.ts";
import { signJsonRequests } from "../../bench/load/sign-heartbeats.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import { heartbeatPath } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { startServerProcess } from "../support/server-process.ts";

/** Agents hang up then. */
const patienceMs = 10_000;
/** Each calls over a connection of its own. */
const agents = 2_000;

test("it serves what it can, refuses the rest with a time to come back, takes every report, and is itself again at once", async () => {
  await using resources = new AsyncDisposableStack();
  const database = resources.adopt(await createTestDatabase(), (each) => each.close());
  const server = resources.use(
    await startServerProcess({ DATABASE_URL: database.url, BMAAS_AGENT_TLS: "off", BMAAS_METRICS_PUBLIC: "on" }),
  );
  const port = Number(new URL(server.agentUrl).port);
  await seedFleet(database.url, agents);
  await registerCallers(database.url, agents, agents);
  const identities = listCallers(agents, agents).map(createBenchIdentity);
  const sign = (count: number) => signJsonRequests(identities, count, server.agentUrl);
  using few = await Http1Load.open(port, 64);
  const warm = await few.sendAll(await sign(agents));
  const perSecond = Math.min(20_000, Math.round((5 * warm.answered.length) / warm.seconds));
  const requests = await sign(2 * perSecond);

  const installing = await machineWithAgent(database.db);
  const generation = await requestInstallation(database.db, installing.machineId);
  const signed = createSigningFetch(installing);
  const call = (message: object) =>
    signed(server.agentUrl + heartbeatPath, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ machineId: installing.machineId, ...message }),
    });
  expect((await call({})).status).toBe(200);
  using many = await Http1Load.open(port, agents);
  const storm = many.sendAt(requests, perSecond);
  const report = await call({ installationReport: { generation: generation.toString(), success: {} } });
  expect(report.status).toBe(200);
  expect((await fetch(`${server.adminUrl}/readyz`)).status).toBe(200);

  const { answered, unsent } = await storm;
  const served = answered.filter(({ status }) => status === 200);
  const refused = answered.filter(({ status }) => status === 429);
  expect(served.length).toBeGreaterThan(0);
  // On a fast machine as many as there are agents can wait, and be served in time.
  expect(refused.length + unsent).toBeGreaterThan(0);
  expect(served.length + refused.length).toBe(answered.length);
  expect(refused.filter(({ retryAfter }) => !(retryAfter >= 5))).toEqual([]);
  expect(served.filter(({ tookMs }) => tookMs > patienceMs)).toEqual([]);
  expect((await readTags(database, installing.machineId)).report?.generation).toBe(generation);

  const page = await scrape(server.adminUrl);
  expect(page.find("bmaas_heartbeats_refused_total", { reason: "overloaded" })).toBe(refused.length);
  expect(page.find("process_resident_memory_bytes")).toBeLessThan(2 ** 30);
  const calm = await few.sendAll(await sign(64));
  expect(new Set(calm.answered.map(({ status }) => status))).toEqual(new Set([200]));
});
