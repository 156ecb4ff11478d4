import { describe, expect, test } from "vitest";
import { mistakesOf, newPublicKey, parseFleet } from "../support/seed.ts";

const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const parse = (text: string) => mistakesOf(() => parseFleet(text));

describe("what two machines of a file claim both", () => {
  const key = newPublicKey();
  const base64 = Buffer.from(key, "hex").toString("base64");
  test.each([
    [
      "an id, in another case",
      `- id: ${id}`,
      `- id: ${id.toUpperCase()}`,
      `6:9 machines[1].id: is also the id of machines[0] on line 2; give each machine its own`,
    ],
    [
      "a key, in another encoding",
      `- agent: { publicKey: "${key}" }`,
      `- agent: { publicKey: "${base64}" }`,
      "6:25 machines[1].agent.publicKey: is also the key of machines[0] on line 2; give each machine its own",
    ],
    [
      "a provider's id",
      '- provided: { provider: a, providerId: "1" }',
      '- provided: { providerId: "1", provider: a }',
      "6:29 machines[1].provided.providerId: is also the provider id of machines[0] on line 2; give each machine its own",
    ],
  ])("is refused with both places: %s", async (_name, first, second, mistake) => {
    const gap = "\n    #\n    #\n    #\n";
    expect(await parse(`machines:\n  ${first}${gap}  ${second}\n`)).toEqual([mistake]);
  });

  test("is found in a file with other mistakes, too", async () => {
    const file = `machines:\n  - { id: ${id}, x: 1 }\n  - { id: ${id}, y: 2 }\n`;
    expect((await parse(file)).map((mistake) => mistake.split(" ")[1])).toEqual([
      "machines[0].x:",
      "machines[1].id:",
      "machines[1].y:",
    ]);
  });

  test("may be the same id at two providers", async () => {
    const machine = (provider: string) => `  - provided: { provider: ${provider}, providerId: "1" }\n`;
    expect(await parse(`machines:\n${machine("a")}${machine("b")}`)).toEqual([]);
  });
});
