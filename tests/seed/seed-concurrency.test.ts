import { randomUUID } from "node:crypto";
import { sql } from "drizzle-orm";
import { afterAll, beforeEach, expect, test } from "vitest";
import { registerAgents } from "../../src/db/queries/agent-started.ts";
import { writeHeartbeats } from "../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createMachines } from "../../src/db/queries/machine.ts";
import { deleteMachine } from "../../src/db/queries/machine-deletion.ts";
import { requestInstallations } from "../../src/db/queries/os-installation-request.ts";
import { expected, machineLabel } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { createTestDatabase } from "../support/database.ts";
import { moveInstallation } from "../support/installation.ts";
import { encodeTestImage } from "../support/machine.ts";
import { emptyFleet, imageYaml, mistakesOf, newPublicKey, readFleet, seedText, withClient } from "../support/seed.ts";
import { waitForBlockedSessions } from "../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
beforeEach(() => emptyFleet(database));

/** Machines with ids, and without, found by a provider's id or by a key. */
function fleet(size: number): string[] {
  return Array.from({ length: size }, (_, index) => {
    const agent = `agent: { publicKey: "${newPublicKey()}" }, install: { uncheckedDisk: true, image: ${imageYaml()} }`;
    const provided = `provided: { provider: a, providerId: "${index}" }`;
    return [`{ id: ${randomUUID()}, ${agent} }`, `{ ${provided}, ${agent} }`, `{ ${agent} }`][index % 3] ?? "";
  });
}

const file = (machines: readonly string[]) => `machines:\n${machines.map((machine) => `  - ${machine}\n`).join("")}`;

test("of seeds of the same file at once all succeed and one creates", async () => {
  const machines = fleet(60);
  const texts = [file(machines), file(machines.toReversed()), file(machines), file(machines.toReversed())];
  const results = await Promise.all(texts.map((text) => seedText(database.db, text)));
  const creators = results.filter((seeded) => seeded.some(({ machine }) => machine === "created"));
  expect(creators).toHaveLength(1);
  expect(creators[0]?.every(({ machine }) => machine === "created")).toBe(true);
  const stored = await readFleet(database);
  expect([stored.machines.length, stored.agents.length, stored.requests.length]).toEqual([60, 60, 60]);
});

test("a report that comes between the checks and the request is a problem of the file's generation", async () => {
  const { db, url } = database;
  const machineId = randomUUID();
  const text = (more: string) => file([`{ id: ${machineId}, provided: { provider: a, providerId: "1" }${more} }`]);
  await seedText(db, text(""));
  await withClient(url, async (agent) => {
    await agent.query("begin; lock table provided in exclusive mode");
    const install = `, reservation: r }, install: { uncheckedDisk: true, generation: 5, image: ${imageYaml()} }`;
    const mistakes = mistakesOf(() => seedText(db, text("").replace(" } }", `${install} }`)));
    await waitForBlockedSessions(agent, 1);
    await agent.query(`insert into refused_report values ('${machineId}', 9, 9, now()); commit`);
    expect(await mistakes).toEqual([expect.stringMatching(/machines\[0\].install: generation 5 .* does not exceed 9/)]);
  });
});

test("an installation that is given between the checks and the request is a problem of the file", async () => {
  const { db, url } = database;
  const machineId = randomUUID();
  const text = (reservation: string, content: string) =>
    file([
      `{ id: ${machineId}, provided: { provider: a, providerId: "1", reservation: ${reservation} }, install: { uncheckedDisk: true, image: ${imageYaml(content)} } }`,
    ]);
  await seedText(db, text("r", "a"));
  await withClient(url, async (agent) => {
    await agent.query("begin; lock table provided in exclusive mode");
    const mistakes = mistakesOf(() => seedText(db, text("s", "b")));
    await waitForBlockedSessions(agent, 1);
    await moveInstallation(db, machineId, 1n, "given");
    await agent.query("commit");
    expect(await mistakes).toEqual([
      expect.stringMatching(/machines\[0\].install: installation 1 of machine .* was given to an agent at /),
    ]);
  });
  expect((await readFleet(database)).requests).toMatchObject([{ generation: 1n, supersededAt: null }]);
});

test("seeds that change keys, heartbeats and other operators' requests get along", async () => {
  const { db, url } = database;
  const machines = Array.from({ length: 30 }, () => ({ machineId: randomUUID(), key: newPublicKey() }));
  const text = (keyOf: (key: string) => string, content: string) =>
    file(
      machines.map(
        ({ machineId, key }) =>
          `{ id: ${machineId}, agent: { publicKey: "${keyOf(key)}" }, install: { uncheckedDisk: true, image: ${imageYaml(content)} } }`,
      ),
    );
  await seedText(
    db,
    text((key) => key, "a"),
  );
  const rows = machines.map(({ machineId, key }) => ({
    machineId,
    publicKey: Buffer.from(key, "hex"),
    knowsAdditions: true,
  }));
  let seeded = false;
  const heartbeats = withClient(url, async (client) => {
    while (!seeded) await writeHeartbeats(client, rows);
  });
  const requests = (async () => {
    const wanted = machines.toReversed().map(({ machineId }) => ({ machineId, encode: encodeTestImage }));
    while (!seeded) await transact(db, (tx) => requestInstallations(tx, wanted, "other"));
  })();
  const seeds = (async () => {
    for (const content of ["b", "c", "d", "e"]) {
      await seedText(db, text(newPublicKey, content), { supersedeGiven: true });
      await seedText(
        db,
        text((key) => key, content),
        { supersedeGiven: true },
      );
    }
  })().finally(() => {
    seeded = true;
  });
  await Promise.all([heartbeats, requests, seeds]);
  const outcomes = await withClient(url, (client) => writeHeartbeats(client, rows));
  expect(outcomes.every(({ kind }) => kind === "counted")).toBe(true);
});

test("a key that another operator gives away while the seed runs is reported with its place", async () => {
  const { db, url } = database;
  const [holder, key] = [randomUUID(), newPublicKey()];
  await transact(db, (tx) => createMachines(tx, [holder], "other"));
  let mistakes: Promise<string[]> | undefined;
  await transact(db, async (tx) => {
    await registerAgents(tx, [{ machineId: holder, publicKey: Buffer.from(key, "hex") }], "other");
    mistakes = mistakesOf(() =>
      seedText(db, `machines:\n  - id: ${randomUUID()}\n    agent: { publicKey: "${key}" }\n`),
    );
    await withClient(url, async (client) => {
      const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      await expect.poll(async () => (await client.query(waiting)).rowCount).toBe(1);
    });
  });
  expect(await mistakes).toEqual([
    expect.stringContaining(`3:25 machines[0].agent.publicKey: is already the key of machine ${holder}`),
  ]);
  expect((await readFleet(database)).machines).toHaveLength(1);
});

test.each([
  ["labels", "labels: { rack: r1 }"],
  ["expect", "expect: { serialNumber: SN-1 }"],
])("a machine that an operator deletes while the seed runs is created again, with its %s", async (table, content) => {
  const { db, url } = database;
  const machineId = randomUUID();
  await transact(db, (tx) => createMachines(tx, [machineId], "other"));
  const { seeding } = await transact(db, async (tx) => {
    await deleteMachine(tx, { machineId, force: false }, "other");
    const running = seedText(db, file([`{ id: ${machineId}, ${content} }`]));
    await withClient(url, (client) => waitForBlockedSessions(client, 1));
    return { seeding: running };
  });
  await seeding;
  expect(await db.$count(table === "labels" ? machineLabel : expected, sql`machine_id = ${machineId}`)).toBe(1);
});

test.each(["providers' ids", "keys"] as const)(
  "a call that gives the same %s to other machines waits for the seed or is waited for, without a deadlock",
  async (what) => {
    const { db, url } = database;
    const retries: string[] = [];
    const watched = Object.assign(Object.create(db), {
      $observer: { retried: (reason: string) => void retries.push(reason) },
    }) as typeof db;
    const [low, high] = [randomUUID(), randomUUID()].toSorted();
    const values = what === "keys" ? [newPublicKey(), newPublicKey()].toSorted() : ["a", "a b"];
    const tag = (value?: string) =>
      what === "keys" ? `agent: { publicKey: "${value}" }` : `provided: { provider: "${value}", providerId: "1" }`;
    const others = [randomUUID(), randomUUID()];
    await transact(db, (tx) => createMachines(tx, others, "other"));
    const insert =
      what === "keys"
        ? "insert into agent_started (machine_id, public_key) values ($1, decode($2, 'hex'))"
        : "insert into provided (machine_id, provider, provider_id, status) values ($1, $2, '1', 'unknown')";
    await withClient(url, async (call) => {
      // The order in which operators' calls insert.
      await call.query("begin");
      await call.query(insert, [others[0], values[0]]);
      const mistakes = mistakesOf(() =>
        seedText(watched, file([`{ id: ${low}, ${tag(values[1])} }`, `{ id: ${high}, ${tag(values[0])} }`])),
      );
      await waitForBlockedSessions(call, 1);
      await call.query(insert, [others[1], values[1]]);
      await call.query("commit");
      expect((await mistakes).length).toBeGreaterThan(0);
    });
    expect(retries).toEqual([]);
  },
);
