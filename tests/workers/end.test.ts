/** However a server ends, its workers end with it, and in good order where there is time for that. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { findFamily, listProcesses } from "../support/embedded-owner.ts";
import { startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import { findServed, listWorkers, openSessions, startWithWorkers, waitUntilGone } from "../support/worker-processes.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

test.each(["SIGTERM", "SIGINT"] as const)(
  "by %s is one of all processes, in good order, with status 0",
  async (signal) => {
    await using server = await startWithWorkers(database);
    const workers = await listWorkers(server);
    const opened = await openSessions(server, 2);
    server.kill(signal);
    expect(await server.ended).toBe(0);
    await waitUntilGone(workers);
    expect(server.logged.filter(({ msg }) => msg === "a worker has exited").map(({ reason }) => reason)).toEqual([
      "status 0",
      "status 0",
    ]);
    expect(server.logged.at(-1)?.msg).toBe("stopped");
    expect(server.output.stderr).toBe("");
    for (const { session } of opened) session.destroy();
  },
);

test("by a signal to the whole group, as Ctrl-C is one, is the same", async () => {
  await using server = await startWithWorkers(database, { BMAAS_SHUTDOWN_DELAY: "0.5" });
  const workers = await listWorkers(server);
  for (const pid of [...workers, server.pid]) process.kill(pid, "SIGINT");
  expect(await server.ended).toBe(0);
  await waitUntilGone(workers);
  expect(server.logged.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});

test("comes at once with the second signal, also for workers that wait for their callers", async () => {
  await using server = await startWithWorkers(database, { BMAAS_SHUTDOWN_DELAY: "60" });
  const workers = await listWorkers(server);
  server.kill("SIGTERM");
  await waitUntil("it shuts down", () => server.logged.some(({ reason }) => reason === "SIGTERM"));
  server.kill("SIGTERM");
  expect(await server.ended).toBe(143);
  await waitUntilGone(workers);
});

test("does not wait for a replacement that is under way", async () => {
  await using server = await startWithWorkers(database);
  const before = await listWorkers(server);
  const opened = await openSessions(server, 4);
  server.kill("SIGHUP");
  await waitUntil("the first successor serves", () => findServed(server).length === 3);
  const all = await listWorkers(server);
  expect(all).toEqual(expect.arrayContaining(before));
  server.kill("SIGTERM");
  expect(await server.ended).toBe(0);
  await waitUntilGone(all);
  expect(server.logged.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  for (const { session } of opened) session.destroy();
});

test("by SIGKILL of the primary process takes workers and the embedded PostgreSQL with it", async () => {
  await using server = await startServerProcess({ BMAAS_WORKERS: "2" });
  const workers = await listWorkers(server);
  expect(workers).toHaveLength(2);
  const { postgres } = await findFamily(server.pid);
  const own = (await listProcesses()).filter(({ pid }) => [server.pid, ...workers].includes(pid));
  const { password } = new URL((await readFile(join(server.home, "database.url"), "utf8")).trim());
  expect(password).not.toBe("");
  expect(JSON.stringify([own, server.output])).not.toContain(password);
  server.kill("SIGKILL");
  expect(await server.ended).toBe("SIGKILL");
  await waitUntilGone([...workers, postgres]);
  // Whoever follows finds nothing in its way.
  const { home } = server;
  await using next = await startServerProcess({ BMAAS_HOME: home, BMAAS_WORKERS: "2" });
  expect((await fetch(`${next.adminUrl}/readyz`)).status).toBe(200);
});
