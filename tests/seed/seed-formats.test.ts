/** Formats of seed files that are read in parts: JSON Lines, JSON lists, YAML documents, and large lists of YAML. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { chooseSplitter } from "../../src/seed/read/choose-splitter.ts";
import type { SeedInput } from "../../src/seed/read/seed-input.ts";
import { SeedWindow } from "../../src/seed/read/seed-window.ts";
import { splitJsonList } from "../../src/seed/read/split-json.ts";
import { imageYaml, mistakesOf, newPublicKey, parseFleet } from "../support/seed.ts";

/** Texts of machines with ids, enough of them that the file is too large to be parsed as a whole. */
function manyMachines(format: (id: string, index: number) => string): { ids: string[]; texts: string[] } {
  const ids = Array.from({ length: 2_500 }, () => randomUUID());
  return { ids, texts: ids.map(format) };
}

const filler = "x".repeat(60);
const provided = (index: number) => ({ provider: filler, providerId: `${index}`, location: filler });
const idsOf = async (text: string) => (await parseFleet(text)).map(({ id }) => id);

describe("machines are read one after the other", () => {
  test("from JSON Lines, blank lines and CRLF included", async () => {
    const { ids, texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
    expect(await idsOf(texts.join("\n"))).toEqual(ids);
    expect(await idsOf(`\ufeff\r\n${texts.slice(0, 3).join("\r\n\r\n")}\r\n`)).toEqual(ids.slice(0, 3));
  });

  test("from one list in JSON, on one line and on many", async () => {
    const { ids, texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
    expect(await idsOf(`{"machines":[${texts}]}`)).toEqual(ids);
    const machines = texts.map((text): unknown => JSON.parse(text));
    expect(await idsOf(`${JSON.stringify({ machines }, undefined, 2)}\n`)).toEqual(ids);
  });

  test("from documents of YAML, each a list or one machine", async () => {
    const { ids, texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
    expect(await idsOf(`---\n${texts.join("\n---\n")}\n...\n`)).toEqual(ids);
    const [a, b, c] = ids;
    const file = `# first\n---\nmachines:\n  - id: ${a}\n  - id: ${b}\n--- # second\n# nothing\n---\nid: ${c}\n...\n`;
    expect(await idsOf(file)).toEqual([a, b, c]);
  });

  test.each([0, 2, 4])(
    "from a large list of YAML whose dashes are indented by %i, with anchors across it",
    async (indent) => {
      const before = " ".repeat(indent);
      const image = `      url: https://a/b\n      digest: sha256:${"ab".repeat(32)}\n      rootDevice: sda\n`;
      const userData = "      userData: |\n        - not a machine\n        --- neither\n        # nor this\n";
      const indented = (text: string) => text.replaceAll(/^(?=.)/gm, before);
      const { ids, texts } = manyMachines((id, index) => {
        const first = `- id: ${id}\n  provided: { provider: ${filler},\n    providerId: "${index}" }\n`;
        if (index === 7)
          return indented(`${first}  install:\n    uncheckedDisk: true\n    image:\n${image}${userData}`);
        const install =
          index === 0 ? `  install: &install\n    image: &image ${imageYaml()}\n    uncheckedDisk: true\n` : "";
        const again = index % 2 === 0 ? "  install: *install\n" : "  install: { image: *image, uncheckedDisk: true }\n";
        return `${indented(first + (install || again))}# a comment at the margin\n\n`;
      });
      const machines = await parseFleet(`%YAML 1.2\n---\n# the fleet\nmachines: # all\n\n${texts.join("")}`);
      expect(machines.map(({ id }) => id)).toEqual(ids);
      expect(machines.at(-1)?.install?.image?.url).toBe("https://images.example/a.img");
      expect(Buffer.from(machines[7]?.install?.image?.userData ?? []).toString()).toBe(
        "- not a machine\n--- neither\n# nor this\n",
      );
    },
  );
});

test("numbers beyond 2^53, repeated names and values of YAML in a line of JSON are read as in YAML", async () => {
  const id = randomUUID();
  const image = { url: "https://a/b", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "sda", userData: '{"a":1}' };
  const install = { generation: 5, image, uncheckedDisk: true };
  const line = JSON.stringify({ id, install });
  const [first, second] = await parseFleet(
    `${line}\n${line.replace(id, randomUUID()).replace('"generation":5', '"generation":9223372036854775807')}\n`,
  );
  expect([first?.install?.generation, second?.install?.generation]).toEqual([5n, 9223372036854775807n]);
  expect(Buffer.from(first?.install?.image?.userData ?? []).toString()).toBe('{"a":1}');
  const repeated = `{"id":"${id}"}\n{"id":"${randomUUID()}","id":"${randomUUID()}"}\n`;
  expect(await mistakesOf(() => parseFleet(repeated))).toEqual([
    expect.stringMatching(/^2:\d+ : the same field a second time; keep one of the two/),
  ]);
});

test.each(["5.0", "5e0", "1e3", "-5"])("%s is no generation, in a line of JSON and in YAML alike", async (written) => {
  const image = { url: "https://a/b", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "sda" };
  const machine = JSON.stringify({ id: randomUUID(), install: { image, generation: 5 } });
  const wrong = machine.replace(/5}}$/, `${written}}}`);
  const reason = written === "-5" ? "is not between 1 and" : "is not a whole number; write one such as 123";
  const mistake = (start: string) =>
    expect.stringMatching(new RegExp(`^${start}:\\d+ machines\\[0\\]\\.install\\.generation: ${reason}`));
  expect(await mistakesOf(() => parseFleet(`${wrong}\n{"id":"${randomUUID()}"}\n`))).toEqual([mistake("1")]);
  expect(await mistakesOf(() => parseFleet(`machines:\n  - ${wrong}\n`))).toEqual([mistake("2")]);
});

/** A file without an end: `start`, and then nothing but spaces. */
function endless(start: string): SeedInput {
  const bytes = Buffer.from(start);
  return {
    size: Number.MAX_SAFE_INTEGER,
    read: async (offset, length) =>
      Buffer.concat([bytes.subarray(offset), Buffer.alloc(length, " \n")]).subarray(0, length),
    [Symbol.asyncDispose]: async () => {},
  };
}

describe("spaces without an end are not kept in memory", () => {
  test("after a first line, whatever it is", async () => {
    for (const start of ['{"id":"x"}\n', '{"id":\n']) {
      const input = endless(start);
      const window = new SeedWindow(input);
      await chooseSplitter(window, input);
      expect(window.bytes.length).toBeLessThan(3 * 1024 * 1024);
    }
  });

  test("after a list of JSON", async () => {
    const window = new SeedWindow(endless('{"machines":[{"id":"x"}]'));
    const splitter = splitJsonList();
    for (let fills = 0; fills < 20; fills++) {
      await window.fill();
      if (fills === 0) expect(splitter.next(window)?.text).toBe('{"id":"x"}');
      expect(splitter.next(window)).toBeUndefined();
      expect(window.bytes.length).toBeLessThan(1024 * 1024);
    }
  });
});

test("a machine that an alias of a large list stands for is on the alias's line", async () => {
  const id = randomUUID();
  const { texts } = manyMachines(
    (each, index) => `  - id: ${each}\n    provided: ${JSON.stringify(provided(index))}\n`,
  );
  const file = `machines:\n  - &one { id: ${id} }\n${texts.join("")}  - *one\n`;
  expect(await mistakesOf(() => parseFleet(file))).toEqual([
    "5003:5 machines[2501].id: is also the id of machines[0] on line 2; give each machine its own",
  ]);
});

describe("a mistake is reported with its line and column", () => {
  const wrong = { id: "nope", provided: { provider: "a", providerId: 1 } };
  const wrongPlaces = (line: number, index: number, column = 1) => [
    expect.stringMatching(new RegExp(`^${line}:${column + 6} machines\\[${index}\\]\\.id: a machine id is a UUID`)),
    expect.stringMatching(
      new RegExp(`^${line}:\\d+ machines\\[${index}\\]\\.provided\\.providerId: is a number in YAML`),
    ),
  ];

  test("in JSON Lines", async () => {
    const { texts } = manyMachines((id) => JSON.stringify({ id }));
    texts[1_000] = JSON.stringify(wrong);
    texts[2_000] = '{"id": }';
    expect(await mistakesOf(() => parseFleet(texts.join("\n")))).toEqual([
      ...wrongPlaces(1_001, 1_000),
      expect.stringMatching(/^2001:\d+ /),
    ]);
  });

  test("in a list of JSON, on one line and on many", async () => {
    const { texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
    texts[1_000] = JSON.stringify(wrong);
    const before = `{"machines":[${texts.slice(0, 1_000)},`;
    expect(await mistakesOf(() => parseFleet(`{"machines":[${texts}]}`))).toEqual(
      wrongPlaces(1, 1_000, before.length + 1),
    );
    expect(await mistakesOf(() => parseFleet(`{"machines":[\n${texts.join(",\n")}]}`))).toEqual(
      wrongPlaces(1_002, 1_000),
    );
  });

  test("in a large list of YAML, in an anchored value and in what uses it", async () => {
    const { texts } = manyMachines((id, index) => `  - id: ${id}\n    provided: ${JSON.stringify(provided(index))}\n`);
    texts[0] = `  - id: ${randomUUID()}\n    install: &install { image: ${imageYaml().replace("sda", "/dev/sda")}, uncheckedDisk: true }\n`;
    texts[1_000] = "  - id: nope\n    colour: red\n";
    texts[2_000] = `  - id: ${randomUUID()}\n    install: *install\n`;
    texts[2_400] = `  - id: ${randomUUID()}\n    install: *missing\n`;
    expect(await mistakesOf(() => parseFleet(`machines:\n${texts.join("")}`))).toEqual([
      expect.stringMatching(/^3:\d+ machines\[0\]\.install\.image\.rootDevice: is a path/),
      expect.stringMatching(/^2002:9 machines\[1000\]\.id: a machine id is a UUID/),
      expect.stringMatching(/^2003:5 machines\[1000\]\.colour: is not a known field/),
      expect.stringMatching(/^4803:14 : \*missing stands for nothing/),
    ]);
  });

  test("in two machines far apart that share an id, a key or a provider's id", async () => {
    const key = newPublicKey();
    const { ids, texts } = manyMachines((id) => JSON.stringify({ id }));
    texts[10] = JSON.stringify({ agent: { publicKey: key } });
    texts[2_000] = JSON.stringify({ agent: { publicKey: Buffer.from(key, "hex").toString("base64") } });
    texts[2_001] = JSON.stringify({ id: ids[5]?.toUpperCase() });
    expect(await mistakesOf(() => parseFleet(texts.join("\n")))).toEqual([
      "2001:23 machines[2000].agent.publicKey: is also the key of machines[10] on line 11; give each machine its own",
      "2002:7 machines[2001].id: is also the id of machines[5] on line 6; give each machine its own",
    ]);
  });

  test("and of very many only the first hundred are", async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => `{"id":"nope${index}"}`);
    const mistakes = await mistakesOf(() => parseFleet(lines.join("\n")));
    expect(mistakes).toHaveLength(100);
    expect(mistakes.at(-1)).toMatch(/^100:7 machines\[99\]\.id: /);
  });
});

describe("a file that was cut off", () => {
  const { texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
  const yaml = texts.map((text) => `  - ${text}\n`).join("");
  test.each([
    ["JSON Lines, in a machine", texts.join("\n").slice(0, -40), /^2500:\d+ : .*; the file ends here, so it may have/],
    [
      "a list, in a machine",
      `{"machines":[\n${texts.join(",\n")}`.slice(0, -40),
      /^2501:1 : .*in the middle of this machine; it may/,
    ],
    [
      "a list, after a machine",
      `{"machines":[\n${texts.join(",\n")}\n`,
      /^2502:1 : .*in the list of machines; it may have been cut off/,
    ],
    [
      "a list, before its last brace",
      `{"machines":[\n${texts.join(",\n")}]`,
      /^2501:\d+ : .*before its last "}"; it may have been cut off/,
    ],
    [
      "YAML, in a machine",
      `machines:\n${yaml}`.slice(0, -40),
      /^2501:\d+ : .*; the file ends here, so it may have been cut off/,
    ],
  ])("says line and reason: %s", async (_name, text, mistake) => {
    const mistakes = await mistakesOf(() => parseFleet(text));
    expect(mistakes[0]).toMatch(mistake);
  });
});

describe("what stands between the machines is a mistake", () => {
  const { texts } = manyMachines((id, index) => JSON.stringify({ id, provided: provided(index) }));
  const yaml = texts.map((text) => `  - ${text}\n`).join("");
  test.each([
    [
      "no comma",
      `{"machines":[\n${texts.join("\n")}]}`,
      /^3:1 : not well-formed: expected "," or "\]" after a machine/,
    ],
    ["two commas", `{"machines":[\n${texts.join(",,\n")}]}`, /^2:\d+ : not well-formed: expected a machine here/],
    ["another field", `{"machines":[\n${texts.join(",\n")}],"x":1}`, /^2501:\d+ : not well-formed: expected "}" here/],
    ["another value", `{"machines":[\n${texts.join(",\n")}]}\n{}`, /^2502:1 : not well-formed: nothing may follow/],
    [
      "a list in a list",
      `{"machines":[\n${texts.join(",\n")},[]]}`,
      /^2501:\d+ machines\[2500\]: is a list; expected a group/,
    ],
    [
      "another field in YAML",
      `machines:\n${yaml}others: 1\n`,
      /^2502:1 : not well-formed: only another machine may follow/,
    ],
    ["a line with less indentation", `machines:\n${yaml} - {}\n`, /^2502:1 : not well-formed: only another machine/],
  ])("%s", async (_name, text, mistake) => {
    const mistakes = await mistakesOf(() => parseFleet(text));
    expect(mistakes).toEqual([expect.stringMatching(mistake)]);
  });
});

describe("what cannot be read in little memory is refused", () => {
  const large = "x".repeat(3 * 1024 * 1024);
  test.each([
    ["a line of JSON Lines", `{"id":"${randomUUID()}"}\n{"id":"${large}"}\n`, "2:1 : the line has more than 2 MiB"],
    ["the first line of JSON Lines", `{"id":"${large}"}\n{"id":"${large}"}\n`, "1:1 : the line has more than 2 MiB"],
    ["a machine of a list", `{"machines":[\n{"id":"${large}"}]}`, "2:1 : the machine has more than 2 MiB"],
    [
      "a machine of YAML",
      `machines:\n  - id: ${randomUUID()}\n  - id: ${large}\n`,
      "2:1 : the machine has more than 2 MiB",
    ],
    [
      "a document without lines",
      `machines: [{ id: ${large} }]\n`,
      "1:1 : the document has more than 1 MiB and cannot be read",
    ],
    [
      "bytes that are not UTF-8",
      Buffer.from("\ufeffmachines: []", "utf16le"),
      "1:1 : is not UTF-8; save it in that encoding",
    ],
  ])("%s", async (_name, text, mistake) => {
    expect(await mistakesOf(() => parseFleet(text))).toEqual([expect.stringContaining(mistake)]);
  });

  test("values with aliases that would grow without bound, in parts of a large list", async () => {
    const { texts } = manyMachines((id, index) => `  - id: ${id}\n    provided: ${JSON.stringify(provided(index))}\n`);
    const bomb = Array.from({ length: 8 }, (_, level) => {
      const inner = level === 0 ? "x" : `*a${level - 1}`;
      return `  - id: ${randomUUID()}\n    labels: &a${level} [${Array(30).fill(inner).join(", ")}]\n${texts.slice(level * 100, level * 100 + 100).join("")}`;
    });
    const mistakes = await mistakesOf(() => parseFleet(`machines:\n${bomb.join("")}${texts.slice(800).join("")}`));
    expect(mistakes).toContainEqual(
      expect.stringMatching(/: the values with anchors \(&name\) are too large together/),
    );
  });

  test("long values with anchors, in parts of a large list", async () => {
    const long = "x".repeat(500_000);
    const machines = Array.from({ length: 20 }, (_, index) => `  - &m${index} { id: ${randomUUID()}, x: ${long} }\n`);
    const mistakes = await mistakesOf(() => parseFleet(`machines:\n${machines.join("")}`));
    expect(mistakes).toContainEqual(
      expect.stringMatching(
        /^1\d:\d+ : the values with anchors \(&name\) are too large together; write the values out$/,
      ),
    );
  });
});
