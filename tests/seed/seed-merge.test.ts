/** What only the database finds in a large file, and that a file with a mistake leaves nothing behind. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { judgeCoordinate, judgePoint } from "../../src/contract/ed25519-point.ts";
import { createTestDatabase } from "../support/database.ts";
import { emptyFleet, mistakesOf, newPublicKey, readFleet, seedText } from "../support/seed.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
beforeEach(() => emptyFleet(database));

const lineOf = (machine: object) => `${JSON.stringify(machine)}\n`;

test("machines that share an id, a key or a provider's id are found also where there are too many to remember", async () => {
  const [id, key] = [randomUUID(), newPublicKey()];
  const provided = { provider: "a", providerId: "1" };
  const first = lineOf({ id }) + lineOf({ agent: { publicKey: key } }) + lineOf({ provided });
  const between = Array.from({ length: 20_000 }, () => lineOf({ id: randomUUID() })).join("");
  const last =
    lineOf({ id: id.toUpperCase() }) + lineOf({ id: randomUUID(), agent: { publicKey: key } }) + lineOf({ provided });
  expect(await mistakesOf(() => seedText(database.db, first + between + last))).toEqual([
    "20004:7 machines[20003].id: is also the id of machines[0] on line 1; give each machine its own",
    "20005:67 machines[20004].agent.publicKey: is also the key of machines[1] on line 2; give each machine its own",
    "20006:42 machines[20005].provided.providerId: is also the provider id of machines[2] on line 3; give each machine its own",
  ]);
  expect((await readFleet(database)).machines).toEqual([]);
});

test("a key whose coordinate has no point is refused at its place, unless an agent has it already", async () => {
  const keys = Array.from({ length: 20 }, (_, byte) => Buffer.alloc(32, byte + 2));
  const wrong = keys.find((key) => judgePoint(key) === "not canonical") ?? Buffer.alloc(0);
  expect(judgeCoordinate(wrong)).toBe("sound");
  const file = `machines:\n  - id: ${randomUUID()}\n    agent: { publicKey: "${wrong.toString("hex")}" }\n`;
  expect(await mistakesOf(() => seedText(database.db, file))).toEqual([
    "3:25 machines[0].agent.publicKey: not the canonical encoding of a point of Ed25519",
  ]);
  expect((await readFleet(database)).machines).toEqual([]);
});

test("a file that was cut off changes nothing, and after it is mended it seeds as if for the first time", async () => {
  const machines = Array.from({ length: 3_000 }, (_, index) => ({
    id: randomUUID(),
    provided: { provider: "a", providerId: `${index}` },
    labels: { rack: `r${index % 10}` },
    agent: { publicKey: newPublicKey() },
  }));
  const whole = machines.map(lineOf).join("");
  const mistakes = await mistakesOf(() => seedText(database.db, whole.slice(0, -30)));
  expect(mistakes.at(-1)).toMatch(/^3000:\d+ : not well-formed: .*; the file ends here, so it may have been cut off$/);
  expect((await readFleet(database)).machines).toEqual([]);
  const outcomes = { machine: "created", provided: "created", labels: "created", agent: "created" };
  const first = await seedText(database.db, whole);
  expect(first).toMatchObject(
    machines.map(({ id }, index) => ({ index, line: index + 1, machineId: id, ...outcomes })),
  );
  const stored = await readFleet(database);
  expect(stored.history).toHaveLength(4 * machines.length);
  const again = await seedText(database.db, whole);
  expect(again.every(({ machine, agent }) => machine === "unchanged" && agent === "unchanged")).toBe(true);
  expect(await readFleet(database)).toEqual(stored);
});

test("machines that are as the file says are not held, so another operator's change goes on beside a seed", async () => {
  const [same, other] = [randomUUID(), randomUUID()];
  const provided = { provider: "a", providerId: "1" };
  await seedText(database.db, lineOf({ id: same, provided }) + lineOf({ id: other }));
  const seeded = await database.db.$client.connect();
  try {
    await seeded.query("begin");
    await seeded.query(`select from machine where id = '${same}' for no key update`);
    const file = lineOf({ id: same, provided }) + lineOf({ id: other, labels: { rack: "r1" } });
    expect(await seedText(database.db, file)).toMatchObject([{ provided: "unchanged" }, { labels: "created" }]);
  } finally {
    await seeded.query("rollback");
    seeded.release();
  }
});
