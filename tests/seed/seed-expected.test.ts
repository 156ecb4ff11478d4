/** `expect` in seed files: by what a machine will be known when its agent enrols. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { observe } from "../support/observer.ts";
import { mistakesOf, parseFleet, readFleet, seedText } from "../support/seed.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const file = (id: string, expectation: string) => `machines: [{ id: ${id}, expect: ${expectation} }]`;
const outcomeOf = async (id: string, expectation: string) =>
  (await seedText(database.db, file(id, expectation))).map((each) => each.expect);
const readExpected = async (id: string) => {
  const [row] = await observe(database)<{ expected: Record<string, unknown> }[]>`
    select to_jsonb(expected) - 'expected_at' - 'machine_id' as expected from expected where machine_id = ${id}`;
  return row?.expected;
};

test("is stored, replaced as a whole, left alone and removed, and each change is in the history", async () => {
  const id = randomUUID();
  const first = `{ serialNumber: SN 1, systemUuid: "4C4C4544-0047-4B10-8034-C7C04F505832", macAddresses: [B0-4F-13-0A-1C-2F, "b0:4f:13:0a:1c:2e"] }`;
  expect(await outcomeOf(id, first)).toEqual(["created"]);
  expect(await readExpected(id)).toEqual({
    serial_number: "SN 1",
    system_uuid: "4c4c4544-0047-4b10-8034-c7c04f505832",
    mac_addresses: ["b0:4f:13:0a:1c:2e", "b0:4f:13:0a:1c:2f"],
    identifiers: [
      "serial_number:sn1",
      "system_uuid:4c4c454400474b108034c7c04f505832",
      "system_uuid:44454c4c4700104b8034c7c04f505832",
      "mac:b04f130a1c2e",
      "mac:b04f130a1c2f",
    ],
    facts: 4,
  });
  expect(await outcomeOf(id, first)).toEqual(["unchanged"]);
  expect((await seedText(database.db, `machines: [{ id: ${id} }]`))[0]?.expect).toBeUndefined();
  expect(await outcomeOf(id, "{ serialNumber: SN 2 }")).toEqual(["changed"]);
  expect(await readExpected(id)).toMatchObject({ serial_number: "SN 2", system_uuid: null, facts: 1 });
  expect(await outcomeOf(id, "null")).toEqual(["changed"]);
  expect(await outcomeOf(id, "null")).toEqual(["unchanged"]);
  expect(await readExpected(id)).toBeUndefined();
  const { history } = await readFleet(database);
  const macAddresses = "b0:4f:13:0a:1c:2e b0:4f:13:0a:1c:2f";
  const nothing = { serialNumber: null, systemUuid: null, macAddresses: null };
  expect(history.filter(({ machineId, kind }) => machineId === id && kind === "machine_expected")).toMatchObject([
    { detail: { serialNumber: "SN 1", systemUuid: "4c4c4544-0047-4b10-8034-c7c04f505832", macAddresses } },
    { detail: { ...nothing, serialNumber: "SN 2" } },
    { detail: nothing },
  ]);
});

test.each([
  ["{}", "machines[0].expect: says nothing; give it serialNumber, systemUuid or macAddresses, or leave it out"],
  [
    "{ serialNumber: Default string }",
    /machines\[0\].expect.serialNumber: is a serial number that many machines share/,
  ],
  ["{ systemUuid: x }", /machines\[0\].expect.systemUuid: is not a UUID/],
  ["{ macAddresses: [x] }", /machines\[0\].expect.macAddresses\[0\]: is not the address of a network interface/],
  ["{ macAddresses: [] }", /machines\[0\].expect.macAddresses: /],
  [
    "{ serialNumber: AB12, serials: x }",
    /machines\[0\].expect.serials: is not a known field; there are serialNumber, systemUuid/,
  ],
])("%s is a mistake at its place", async (expectation, mistake) => {
  const mistakes = await mistakesOf(() => parseFleet(file(randomUUID(), expectation)));
  expect(mistakes).toEqual([
    typeof mistake === "string" ? expect.stringContaining(mistake) : expect.stringMatching(mistake),
  ]);
});
