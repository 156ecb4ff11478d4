import { randomUUID } from "node:crypto";
import { eq } from "drizzle-orm";
import { afterAll, beforeEach, expect, test } from "vitest";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { emptyFleet, imageYaml, mistakesOf, newPublicKey, readFleet, seedText } from "../support/seed.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
beforeEach(() => emptyFleet(database));

test("every conflict with the database is reported with its place, and nothing is written", async () => {
  const { db } = database;
  const [holder, other, third] = [randomUUID(), randomUUID(), randomUUID()];
  const key = newPublicKey();
  await seedText(
    db,
    `machines: [{ id: ${holder}, provided: { provider: a, providerId: "1" }, agent: { publicKey: "${key}" }, install: { uncheckedDisk: true, generation: 5, image: ${imageYaml("a")} } }]`,
  );
  const before = await readFleet(database);
  const file = `machines:
  - id: ${other}
    provided: { provider: a, providerId: "1" }
    agent: { publicKey: "${key}" }
  - id: ${holder}
    install:
      generation: 5
      image: ${imageYaml("b")}
  - id: ${third}
`;
  expect(await mistakesOf(() => seedText(db, file))).toEqual([
    `3:42 machines[0].provided.providerId: is already the provider id of machine ${holder}; correct it, or give that machine another one in the same file`,
    `4:25 machines[0].agent.publicKey: is already the key of machine ${holder}; correct it, or give that machine another one in the same file`,
    "7:19 machines[1].install.generation: was requested with other content already; give a generation of at least 6 to install something else",
  ]);
  expect(await readFleet(database)).toEqual(before);
});

test("a generation that does not grow is refused, and one that cannot is refused where there is none", async () => {
  const { db } = database;
  const [one, two] = [randomUUID(), randomUUID()];
  const file = (...generations: string[]) =>
    `machines:\n${[one, two].map((id, index) => `  - id: ${id}\n    install: { ${generations[index]}image: ${imageYaml(generations[index] === "" ? "b" : "a")}, uncheckedDisk: true }\n`).join("")}`;
  await seedText(db, file("generation: 123, ", "generation: 9223372036854775807, "));
  expect(await mistakesOf(() => seedText(db, file("generation: 122, ", "")))).toEqual([
    "3:28 machines[0].install.generation: does not exceed 123, which was requested or reported before; give a generation of at least 124",
    "5:14 machines[1].install.generation: no generation is left after 9223372036854775807; make the machine anew",
  ]);
});

test("two machines of the file that are one in the database are refused", async () => {
  const { db } = database;
  const [id, key] = [randomUUID(), newPublicKey()];
  await seedText(
    db,
    `machines: [{ id: ${id}, provided: { provider: a, providerId: "1" }, agent: { publicKey: "${key}" } }]`,
  );
  const file = `machines:\n  - provided: { provider: a, providerId: "1" }\n  - id: ${id}\n`;
  expect(await mistakesOf(() => seedText(db, file))).toEqual([
    `3:5 machines[1]: is machine ${id} in the database, and so is machines[0] on line 2; give each its id`,
  ]);
});

test("a key of a machine that its provider knows by another id belongs to that one", async () => {
  const { db } = database;
  const [id, key] = [randomUUID(), newPublicKey()];
  await seedText(
    db,
    `machines: [{ id: ${id}, provided: { provider: a, providerId: "1" }, agent: { publicKey: "${key}" } }]`,
  );
  const file = `machines:\n  - provided: { provider: a, providerId: "2" }\n    agent: { publicKey: "${key}" }\n`;
  expect(await mistakesOf(() => seedText(db, file))).toEqual([
    expect.stringContaining(`3:25 machines[0].agent.publicKey: is already the key of machine ${id}`),
  ]);
});

test("what an operator cancelled is not started again by the same file", async () => {
  const { db } = database;
  const id = randomUUID();
  const file = (generation: string) =>
    `machines: [{ id: ${id}, install: { uncheckedDisk: true, ${generation}image: ${imageYaml()} } }]`;
  await seedText(db, file(""));
  const cancel = db.update(osInstallationRequest).set({ cancelledAt: new Date() });
  await cancel.where(eq(osInstallationRequest.machineId, id));
  expect(await seedText(db, file(""))).toMatchObject([
    { install: { outcome: "unchanged", generation: 1n, note: "cancelled" } },
  ]);
  expect(await seedText(db, file("generation: 2, "))).toMatchObject([
    { install: { outcome: "requested", generation: 2n } },
  ]);
});
