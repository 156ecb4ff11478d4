import { describe, expect, test } from "vitest";
import { imageYaml, mistakesOf, newPublicKey, parseFleet } from "../support/seed.ts";

const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const parse = (text: string) => mistakesOf(() => parseFleet(text));

describe("a file that is no list of machines", () => {
  test.each([
    ["empty", "", "1:1 : the file is empty; list the machines under `machines:`"],
    ["only a comment", "# machines\n", "1:1 : the file is empty; list the machines under `machines:`"],
    ["a list", "- id: x", "1:1 : is a list; expected a group of fields"],
    ["a text", "machines", "1:1 : is a string; expected a group of fields"],
    ["machines without a value", "machines:\n", "1:10 machines: is empty; give it a value or leave it out"],
    ["machines as a group", "machines: { a: 1 }", "1:11 machines: is a group of fields; expected a list"],
    ["a machine that is a text", "machines:\n  - one\n", "2:5 machines[0]: is a string; expected a group of fields"],
    [
      "indented with a tab",
      "machines:\n\t- id: x\n",
      "2:1 : indented with a tab, which YAML does not allow; use spaces",
    ],
    ["a field twice", "machines: []\nmachines: []\n", "2:1 : the same field a second time; keep one of the two"],
    ["an unknown alias", "machines: *all\n", "1:11 : *all stands for nothing; an anchor &all has to come before it"],
    ["another tag", "machines: !fleet []\n", "1:11 : Unresolved tag: !fleet; leave the tag out"],
    [
      "a list that ends with the file",
      "[{}",
      '1:4 : not well-formed: expected "]" here; the file ends here, so it may have been cut off',
    ],
    [
      "a group that ends with the file, in lines",
      "machines:\n  - { id: x\n",
      '3:1 : not well-formed: expected "}" here, or more indentation; the file ends here, so it may have been cut off',
    ],
    ["YAML 1.1", "%YAML 1.1\n---\nmachines: []\n", "1:1 : YAML 1.1 is not read, 1.2 is; leave the %YAML line out"],
  ])("is refused with its place: %s", async (_name, text, mistake) => {
    expect(await parse(text)).toEqual([mistake]);
  });

  test("is refused with its place: not closed", async () => {
    expect(await parse('machines: [{ id: "x }]\n')).toContainEqual(
      expect.stringMatching(/^\d+:\d+ : not well-formed: /),
    );
  });

  test("is refused when aliases would grow without bound", async () => {
    const level = (name: string, of: string) => `${name}: &${name} [${Array(30).fill(of).join(", ")}]\n`;
    const bomb = level("a", "x") + level("b", "*a") + level("c", "*b") + level("d", "*c") + level("e", "*d");
    expect(await parse(`${bomb}machines: []\n`)).toEqual([
      expect.stringMatching(/^5:8 : aliases \(\*name\) expand to too much; write the values out$/),
    ]);
  });

  test.each([
    ["lists in a document", `machines:\n  - id: ${id}\n  - ${"[".repeat(200)}${"]".repeat(200)}\n`, 3],
    [
      "lists that no parser's stack holds",
      `machines:\n  - id: ${id}\n  - ${"[".repeat(8_000)}${"]".repeat(8_000)}\n`,
      3,
    ],
    ["lists that nothing closes", `machines:\n  - id: ${id}\n  - ${"[".repeat(8_000)}\n`, 3],
    ["groups in a line of JSON", `{"id":"${id}"}\n${'{"a":'.repeat(8_000)}1${"}".repeat(8_000)}\n`, 2],
    [
      "values in lines",
      `machines:\n${Array.from({ length: 200 }, (_, level) => `${" ".repeat(level)} -\n`).join("")}`,
      102,
    ],
  ])("is refused where it is nested too deeply: %s", async (_name, text, line) => {
    expect(await parse(text)).toEqual([
      expect.stringMatching(new RegExp(`^${line}:\\d+ : is nested more than 100 levels deep, which no machine is$`)),
    ]);
  });
});

test("a mistake in an anchored value is reported once, where it stands", async () => {
  const machine = (install: string) => `  - agent: { publicKey: "${newPublicKey()}" }\n    install: ${install}\n`;
  const wrong = `&install { image: ${imageYaml().replace("sda", "/dev/sda")} }`;
  const mistakes = await parse(`machines:\n${machine(wrong)}${machine("*install")}${machine("*install")}`);
  expect(mistakes).toEqual([expect.stringMatching(/^3:\d+ machines\[0\]\.install\.image\.rootDevice: is a path/)]);
});

test("an alias may contain itself without an end to the reading", async () => {
  expect(await parse("machines: &all [*all]\n")).toEqual(["1:17 machines[0]: is a list; expected a group of fields"]);
});

test("thousands of machines may share one anchored value", async () => {
  const first = `  - agent: { publicKey: "${newPublicKey()}" }\n    install: &install { image: &image ${imageYaml()} }\n`;
  const others = Array.from({ length: 3_000 }, (_, index) => {
    const install = index % 2 === 0 ? "*install" : "{ image: *image }";
    return `  - provided: { provider: a, providerId: "${index}" }\n    install: ${install}\n`;
  });
  expect(await parseFleet(`machines:\n${first}${others.join("")}`)).toHaveLength(3_001);
});

test("JSON is read as well, tabs, escapes and large generations included", async () => {
  const json = JSON.stringify(
    {
      machines: [
        {
          id: id.toUpperCase(),
          install: {
            generation: "9223372036854775807",
            image: {
              url: "https://a/b",
              digest: `sha256:${"ab".repeat(32)}`,
              rootDevice: "sda",
              userData: "\u0000é😀\n",
            },
          },
        },
      ],
    },
    undefined,
    "\t",
  );
  for (const text of [
    json,
    json.replace('"9223372036854775807"', "9223372036854775807").replace("😀", "\\ud83d\\ude00"),
  ]) {
    const [machine] = await parseFleet(text);
    expect(machine?.id).toBe(id);
    expect(machine?.install?.generation).toBe(9223372036854775807n);
    expect(Buffer.from(machine?.install?.image?.userData ?? []).toString()).toBe("\u0000é😀\n");
  }
});
