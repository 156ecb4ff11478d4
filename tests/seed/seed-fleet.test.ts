import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { moveInstallation } from "../support/installation.ts";
import {
  decodeRequest,
  imageYaml,
  mistakesOf,
  newPublicKey,
  readFleet,
  seedText,
  withClient,
} from "../support/seed.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.close());

const exampleFile = new URL("../../examples/fleet.yaml", import.meta.url);

test("the example fleet seeds as it is, and a second time changes nothing", async () => {
  const { db } = database;
  const text = await readFile(exampleFile, "utf8");
  const first = await seedText(db, text);
  expect(first.map(({ machine }) => machine)).toEqual(Array(7).fill("created"));
  expect(first.map(({ install }) => install?.generation)).toEqual([
    1n,
    123n,
    1n,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  const stored = await readFleet(database);
  expect([stored.provided.length, stored.agents.length, stored.requests.length]).toEqual([5, 4, 3]);

  const second = await seedText(db, text);
  const outcomes = second.flatMap(({ machine, provided, agent, expect: expectation, install }) => [
    machine,
    provided,
    agent,
    expectation,
    install?.outcome,
  ]);
  expect(new Set(outcomes)).toEqual(new Set(["unchanged", undefined]));
  expect(second.map(({ machineId }) => machineId)).toEqual(first.map(({ machineId }) => machineId));
  expect(await readFleet(database)).toEqual(stored);
});

test("stores every field, in YAML or JSON the same", async () => {
  const { db } = database;
  const [id, key] = [randomUUID(), newPublicKey()];
  const digest = `sha256:${"ab".repeat(32)}`;
  const provided = { provider: "equinix", providerId: "123", reservation: "r", address: "192.0.2.1", location: "am6" };
  const osImage = { scheme: "https", host: "registry.example:5000", repository: "node", tag: "v1", digest };
  const metropolis = { nodeParameters: "CgIIAQ==", rootDevice: "nvme0n1", osImage };
  const machine = {
    id,
    provided: { ...provided, status: "running" },
    agent: { publicKey: Buffer.from(key, "hex").toString("base64") },
    install: { uncheckedDisk: true, generation: "9007199254740993", metropolis },
  };
  const image = { url: "https://images.example/os.img", digest, rootDevice: "sda", userData: "#cloud-config\n" };
  const other = { id: randomUUID(), install: { uncheckedDisk: true, image } };
  await seedText(db, JSON.stringify({ machines: [machine, other] }));
  const stored = await readFleet(database);
  expect(stored.provided).toMatchObject([{ machineId: id, ...provided, status: "running" }]);
  expect(stored.agents).toMatchObject([{ machineId: id, publicKey: Buffer.from(key, "hex") }]);
  const requests = new Map(stored.requests.map((row) => [row.machineId, row]));
  const request = requests.get(id);
  expect(request).toMatchObject({ generation: 9007199254740993n, requestedBy: "seed:test", cancelledAt: null });
  expect(request && decodeRequest(request)).toMatchObject({
    generation: 9007199254740993n,
    type: { case: "metropolis", value: { rootDevice: "nvme0n1", osImage } },
  });
  const imageRequest = requests.get(other.id);
  expect(imageRequest && decodeRequest(imageRequest)).toMatchObject({
    generation: 1n,
    type: { case: "image", value: { ...image, userData: Buffer.from("#cloud-config\n") } },
  });
});

test("writes history for what it changes and nothing else, and announces each seed that does once", async () => {
  const { db } = database;
  const [id, first, second] = [randomUUID(), newPublicKey(), newPublicKey()];
  const file = (key: string, location: string, labels: string) =>
    `machines: [{ id: ${id}, provided: { provider: a, providerId: "1", location: ${location} }, labels: ${labels}, agent: { publicKey: "${key}" }, install: { uncheckedDisk: true, image: ${imageYaml()} } }]`;
  const heard: string[] = [];
  await withClient(database.url, async (listener) => {
    listener.on("notification", ({ payload = "" }) => heard.push(payload));
    await listener.query("listen bmaas_history");
    await seedText(db, file(first, "am6", "{ rack: r1, row: a }"));
    await seedText(db, file(first, "am6", "{ rack: r1, row: a }"));
    await seedText(db, file(second, "am7", "{ rack: r2, row: null, gone: null }"), { dryRun: true });
    await seedText(db, file(first, "am7", "{ rack: r2, row: null, gone: null }"));
    await seedText(db, file(second, "am7", "{ rack: r2 }"));
    await listener.query("select 1");
  });
  const { history } = await readFleet(database);
  const provided = (location: string) => ({
    ...{ provider: "a", providerId: "1", reservation: null, address: null, location, status: "unknown" },
  });
  expect(history.map(({ kind, detail }) => [kind, detail])).toEqual([
    ["machine_created", {}],
    ["machine_provided", provided("am6")],
    ["machine_labelled", { "label.rack": "r1", "label.row": "a" }],
    ["agent_registered", { publicKey: first }],
    ["installation_requested", expect.objectContaining({ generation: "1" })],
    ["machine_provided", provided("am7")],
    ["machine_labelled", { "label.rack": "r2", removed: "row" }],
    ["agent_replaced", { publicKey: second, previousPublicKey: first }],
  ]);
  expect(history.map(({ machineId, actor }) => [machineId, actor])).toEqual(Array(8).fill([id, "seed:test"]));
  const transactions = new Set(history.map(({ transaction }) => String(transaction)));
  expect(transactions.size).toBe(3);
  expect(heard).toEqual([...transactions]);
});

test("a dry run says what would happen and leaves no trace", async () => {
  const { db } = database;
  const id = randomUUID();
  await seedText(db, `machines: [{ id: ${id}, install: { uncheckedDisk: true, image: ${imageYaml("a")} } }]`);
  const before = await readFleet(database);
  const file = `machines:
  - { id: ${id}, agent: { publicKey: "${newPublicKey()}" }, install: { uncheckedDisk: true, image: ${imageYaml("b")} } }
  - provided: { provider: a, providerId: "1" }
`;
  expect(await seedText(db, file, { dryRun: true })).toMatchObject([
    { machineId: id, machine: "unchanged", agent: "created", install: { outcome: "requested", generation: 2n } },
    { machineId: null, machine: "created", provided: "created" },
  ]);
  expect(await readFleet(database)).toEqual(before);
});

test("leaves alone what the file does not say", async () => {
  const { db } = database;
  const id = randomUUID();
  const tags = `provided: { provider: a, providerId: "1", location: l, status: running }, agent: { publicKey: "${newPublicKey()}" }, install: { uncheckedDisk: true, image: ${imageYaml()} }`;
  await seedText(db, `machines: [{ id: ${id}, ${tags} }]`);
  const before = await readFleet(database);
  for (const machine of [`{ id: ${id} }`, `{ id: ${id}, provided: { provider: a, providerId: "1" } }`]) {
    await seedText(db, `machines: [${machine}]`);
    expect(await readFleet(database)).toEqual(before);
  }
  await seedText(db, `machines: [{ provided: { provider: a, providerId: "1", location: null } }]`);
  expect((await readFleet(database)).provided).toMatchObject([{ machineId: id, location: null, status: "running" }]);
});

test("a machine without an id is found by its provider's id, else by its key", async () => {
  const { db } = database;
  const [first, second] = [newPublicKey(), newPublicKey()];
  const [made] = await seedText(db, `machines: [{ agent: { publicKey: "${first}" } }]`);
  const files = [
    `{ agent: { publicKey: "${first}" }, provided: { provider: a, providerId: "1" } }`,
    `{ provided: { provider: a, providerId: "1" } }`,
    `{ provided: { provider: a, providerId: "1" }, agent: { publicKey: "${second}" } }`,
    `{ agent: { publicKey: "${second}" } }`,
  ];
  for (const machine of files) {
    expect(await seedText(db, `machines: [${machine}]`)).toMatchObject([
      { machineId: made?.machineId, machine: "unchanged" },
    ]);
  }
  expect((await readFleet(database)).machines).toHaveLength(1);
});

test("keys and providers' ids change places when the file says so", async () => {
  const { db } = database;
  const ids = [randomUUID(), randomUUID()];
  const keys = [newPublicKey(), newPublicKey()];
  const file = (order: number[]) =>
    `machines: [${order.map((place, index) => `{ id: ${ids[index]}, agent: { publicKey: "${keys[place]}" }, provided: { provider: a, providerId: "${place}" } }`)}]`;
  await seedText(db, file([0, 1]));
  expect(await seedText(db, file([1, 0]))).toMatchObject([
    { provided: "changed", agent: "changed" },
    { provided: "changed", agent: "changed" },
  ]);
  const { agents } = await readFleet(database);
  const stored = new Map(agents.map((row) => [row.machineId, Buffer.from(row.publicKey).toString("hex")]));
  expect(ids.map((id) => stored.get(id))).toEqual(keys.toReversed());
});

test("seeds thousands of machines, more than a statement takes parameters", { timeout: 240_000 }, async () => {
  const { db } = database;
  const machines = Array.from(
    { length: 12_000 },
    (_, index) =>
      `  - { provided: { provider: a, providerId: "${index}" }, install: { uncheckedDisk: true, image: *image } }\n`,
  );
  const file = `machines:\n  - { id: ${randomUUID()}, install: { uncheckedDisk: true, image: &image ${imageYaml()} } }\n${machines.join("")}`;
  const seeded = await seedText(db, file);
  expect(seeded.filter(({ install }) => install?.generation === 1n)).toHaveLength(12_001);
  expect(new Set(seeded.map(({ machineId }) => machineId)).size).toBe(12_001);
  const again = await seedText(db, file);
  expect(again.every(({ machine, install }) => machine === "unchanged" && install?.outcome === "unchanged")).toBe(true);
});

test("an installation that an agent may be carrying out is superseded only where the caller says so", async () => {
  const { db } = database;
  const states = ["given", "installing", "overdue", "succeeded", "failed", "cancelled"] as const;
  const fleet = [...states, "pending"].map((state) => ({ state, id: randomUUID() }));
  const text = (content: string) =>
    `machines:\n${fleet.map(({ id }) => `  - { id: ${id}, install: { uncheckedDisk: true, image: ${imageYaml(content)} } }\n`).join("")}`;
  await seedText(db, text("a"));
  for (const [index, state] of states.entries()) await moveInstallation(db, fleet[index]?.id ?? "", 1n, state);
  expect(await seedText(db, text("a"))).toMatchObject(fleet.map(() => ({ install: { outcome: "unchanged" } })));

  const before = await readFleet(database);
  const refusal =
    /^\d:\d+ machines\[\d\]\.install: installation 1 of machine \S+ was given to an agent at \S+Z, which may be installing: wait for its outcome, or seed with --supersede$/;
  const mistakes = await mistakesOf(() => seedText(db, text("b")));
  expect(mistakes).toEqual(Array(3).fill(expect.stringMatching(refusal)));
  expect(mistakes.map((mistake) => mistake.slice(0, 2))).toEqual(["2:", "3:", "4:"]);
  expect(await readFleet(database)).toEqual(before);

  await seedText(db, text("b"), { supersedeGiven: true });
  const { requests } = await readFleet(database);
  const superseded = fleet.filter(({ id }) =>
    requests.some((row) => row.machineId === id && row.supersededAt !== null),
  );
  expect(superseded.map(({ state }) => state)).toEqual(["given", "installing", "overdue", "pending"]);
  expect(requests.filter(({ generation }) => generation === 2n)).toHaveLength(fleet.length);
});

test("labels are set and removed, others stay, and a second run changes nothing", async () => {
  const { db } = database;
  const id = randomUUID();
  const seed = async (labels: string) =>
    (await seedText(db, `machines: [{ id: ${id}, labels: ${labels} }]`))[0]?.labels;
  const stored = async () =>
    (await db.execute<{ key: string; value: string }>("select key, value from machine_label order by key")).rows;
  expect(await seed('{ rack: r12, team: ops, example.com/site: "" }')).toBe("created");
  expect(await seed("{ rack: r13, team: null, absent: null }")).toBe("changed");
  expect(await seed("{ rack: r13, team: null }")).toBe("unchanged");
  expect(await stored()).toEqual([
    { key: "example.com/site", value: "" },
    { key: "rack", value: "r13" },
  ]);
});

test("labels that are none, and too many of them, are mistakes of the file", async () => {
  const { db } = database;
  const id = randomUUID();
  const seed = (labels: Record<string, string>) =>
    mistakesOf(() => seedText(db, JSON.stringify({ machines: [{ id, labels }] })));
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
  expect(await seed({ "ra ck": "r1" })).toEqual([
    expect.stringMatching(/labels.*is not a label's key: write at most 63/),
  ]);
  expect(await seed({ rack: "r 1" })).toEqual([expect.stringMatching(/labels\.rack: is not a label's value/)]);
  expect(await seed(many(33))).toEqual([expect.stringMatching(/labels: are more than the 32/)]);
  expect(await seed(many(32))).toEqual([]);
  expect(await seed({ other: "1" })).toEqual([expect.stringMatching(/labels: machine .* would have 33 labels/)]);
  expect((await db.execute("select from machine_label")).rowCount).toBe(32);
});
