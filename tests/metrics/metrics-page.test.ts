/** Who may see the metrics, and that they are there when they are needed most. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { scrape } from "../support/metrics.ts";
import { tokenOf } from "../support/operator.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

const { database, server } = await startServerWithDatabase();

async function statusOf(adminUrl: string, authorization?: string): Promise<number> {
  const response = await fetch(
    `${adminUrl}/metrics`,
    authorization === undefined ? {} : { headers: { authorization } },
  );
  await response.text();
  return response.status;
}

test.each(["viewer", "operator", "admin"] as const)("shows the page to the role %s", async (role) => {
  const { secret } = await tokenOf(database.db, role);
  const page = await scrape(server.adminUrl, secret);
  expect(page.find("bmaas_ready")).toBe(1);
  expect(page.find("bmaas_database_up")).toBe(1);
});

test("refuses who has no token, or one that is none, and says how to ask", async () => {
  const response = await fetch(`${server.adminUrl}/metrics`);
  expect([response.status, await response.json()]).toMatchObject([401, { code: "unauthenticated" }]);
  expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
  expect(await statusOf(server.adminUrl, "Bearer bmaas_0123456789abcdef_nonsense")).toBe(401);
  expect(await statusOf(server.adminUrl, "Basic dXNlcjpwYXNz")).toBe(401);
});

test("shows the page to everybody when told to", async () => {
  await using open = await startTestServer(database.url, { BMAAS_METRICS_PUBLIC: "on" });
  expect((await scrape(open.adminUrl)).find("bmaas_ready")).toBe(1);
});

test("shows it to operators only, not on the agents' listener", async () => {
  await using plain = await startTestServer(database.url, { BMAAS_METRICS_PUBLIC: "on", BMAAS_AGENT_TLS: "off" });
  const response = await fetch(`${plain.agentUrl}/metrics`);
  await response.text();
  expect(response.status).toBe(404);
});

test("answers HEAD without a body, and nothing but GET and HEAD", async () => {
  const { secret } = await tokenOf(database.db, "viewer");
  const headers = { authorization: `Bearer ${secret}` };
  const head = await fetch(`${server.adminUrl}/metrics`, { method: "HEAD", headers });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect((await fetch(`${server.adminUrl}/metrics`, { method: "POST", headers })).status).toBe(404);
});

test("tells that the database is away to whom it knows from before, with the fleet's last figures", async () => {
  await using proxy = await startTcpProxy(database.url);
  await using behind = await startTestServer(proxy.url);
  const { secret } = await tokenOf(database.db, "viewer");
  const { secret: stranger } = await tokenOf(database.db, "viewer");
  const before = await scrape(behind.adminUrl, secret);
  await proxy.setMode("refuse");
  const away = await waitUntil("the page says that the database is away", async () => {
    const page = await scrape(behind.adminUrl, secret);
    return page.find("bmaas_database_up") === 0 && page;
  });
  expect(away.find("bmaas_ready")).toBe(0);
  expect(away.sum("bmaas_fleet_machines")).toBe(before.sum("bmaas_fleet_machines"));
  expect(away.find("bmaas_fleet_sample_age_seconds")).toBeGreaterThan(
    before.find("bmaas_fleet_sample_age_seconds") ?? Number.NaN,
  );
  expect(await statusOf(behind.adminUrl, `Bearer ${stranger}`)).toBe(503);
  await proxy.setMode("pass");
  await waitUntil("the database is reachable again", async () => {
    return (await scrape(behind.adminUrl, secret)).find("bmaas_database_up") === 1;
  });
});

test("has a type and a text for every metric, in base units", async () => {
  const { secret } = await tokenOf(database.db, "viewer");
  const { families, samples } = await scrape(server.adminUrl, secret);
  const own = [...families.values()].filter(({ name }) => name.startsWith("bmaas_"));
  expect(own.length).toBeGreaterThan(20);
  for (const { name, help } of own) {
    expect([name, help]).toEqual([name, expect.stringMatching(/^[A-Z0-9].*\.$/)]);
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kilobytes|percent)\b/);
  }
  for (const { name } of samples) expect([...families.keys()]).toContain(name.replace(/_(bucket|sum|count)$/, ""));
});

test("counts what the process uses, and how late its event loop is", async () => {
  const { secret } = await tokenOf(database.db, "viewer");
  const page = await scrape(server.adminUrl, secret);
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"]) {
    expect(page.find(name)).toBeGreaterThan(0);
  }
  expect(page.find("nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);
});

test("names what only grows, and nothing else, as a total", async () => {
  const { secret } = await tokenOf(database.db, "viewer");
  const { families } = await scrape(server.adminUrl, secret);
  for (const { name, type } of families.values()) {
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
  }
  expect(families.has("nodejs_active_resources")).toBe(true);
});

test("Prometheus's own tool finds nothing wrong with it", async ({ skip }) => {
  skip(spawnSync("promtool", ["--version"]).status !== 0, "promtool, of Debian's package prometheus, is not installed");
  const { secret } = await tokenOf(database.db, "viewer");
  const headers = { authorization: `Bearer ${secret}` };
  const input = await (await fetch(`${server.adminUrl}/metrics`, { headers })).text();
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics", "--extended"], { input });
  expect([status, stderr.toString()]).toEqual([0, ""]);
  expect(stdout.toString()).toContain("bmaas_ready");
});
