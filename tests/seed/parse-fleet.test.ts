import { describe, expect, test } from "vitest";
import { imageYaml, mistakesOf, newPublicKey, parseFleet } from "../support/seed.ts";

const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const parse = (text: string) => mistakesOf(() => parseFleet(text));
/** A file with one machine that has an id and, on line 3, one more field. */
const withField = (field: string) => `machines:\n  - id: ${id}\n    ${field}\n`;
/** A file whose only machine is to have an image with, on line 3 from column 23, this field in place of a right one. */
const withImage = (fields: Record<string, string>) => {
  const right: Record<string, string> = {
    url: "https://images.example/a.img",
    digest: `"sha256:${"ab".repeat(32)}"`,
    rootDevice: "sda",
  };
  const { [Object.keys(fields)[0] ?? ""]: wrong, ...others } = { ...right, ...fields };
  const rest = Object.entries(others).map(([name, value]) => `, ${name}: ${value}`);
  return withField(`install: { image: { ${Object.keys(fields)[0]}: ${wrong}${rest.join("")} } }`);
};

describe("a field", () => {
  const key = newPublicKey();
  test.each([
    [
      "machines[0].id",
      'machines:\n  - id: "4b9f3a52"\n',
      "2:9",
      "a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
    ],
    [
      "machines[0].id",
      "machines:\n  - id: 17\n",
      "2:9",
      "is a number in YAML, which may change how it is written; put it in quotes",
    ],
    ["machines[0].agent", withField("agent:"), "3:11", "is empty; give it a value or leave it out"],
    ["machines[0].agent.publicKey", withField("agent: {}"), "3:12", "is missing"],
    [
      "machines[0].agent.publicKey",
      withField('agent: { publicKey: "abc" }'),
      "3:25",
      "expected 64 hexadecimal digits or 44 characters of base64",
    ],
    [
      "machines[0].agent.publicKey",
      withField(`agent: { publicKey: "${"00".repeat(32)}" }`),
      "3:25",
      "an Ed25519 key of small order is not secure",
    ],
    [
      "machines[0].agent.publicKey",
      withField(`agent: { publicKey: "${"ff".repeat(32)}" }`),
      "3:25",
      "not the canonical encoding of a point of Ed25519",
    ],
    [
      "machines[0].agent.public_key",
      withField(`agent: { publicKey: "${key}", public_key: "${key}" }`),
      "3:93",
      "is not a known field; did you mean publicKey?",
    ],
    [
      "machines[0].agents",
      withField(`agents: { publicKey: "${key}" }`),
      "3:5",
      "is not a known field; did you mean agent?",
    ],
    [
      "machines[0].colour",
      withField("colour: red"),
      "3:5",
      "is not a known field; there are id, provided, labels, agent, expect, install",
    ],
    [
      'machines[0]."a\\u001bb"',
      withField('"a\\eb": red'),
      "3:5",
      "is not a known field; there are id, provided, labels, agent, expect, install",
    ],
    [
      'machines[0]."<<"',
      withField("<<: { agent: {} }"),
      "3:5",
      "merge keys are not supported; use an alias (*name) for a whole value",
    ],
    ["machines[0].provided.provider", withField('provided: { providerId: "1" }'), "3:15", "is missing"],
    [
      "machines[0].provided.providerId",
      withField("provided: { provider: a, providerId: 0123 }"),
      "3:42",
      "is a number in YAML, which may change how it is written; put it in quotes",
    ],
    [
      "machines[0].provided.providerId",
      withField('provided: { provider: a, providerId: "" }'),
      "3:42",
      "is empty; give it a value or leave it out",
    ],
    [
      "machines[0].provided.providerId",
      withField('provided: { provider: a, providerId: " 1" }'),
      "3:42",
      "begins or ends with a space; remove it",
    ],
    [
      "machines[0].provided.providerId",
      withField('provided: { provider: a, providerId: "a\\0b" }'),
      "3:42",
      "holds a control character or an unpaired surrogate; remove it",
    ],
    [
      "machines[0].provided.providerId",
      withField('provided: { provider: a, providerId: "\\ud800" }'),
      "3:42",
      "holds a control character or an unpaired surrogate; remove it",
    ],
    [
      "machines[0].provided.providerId",
      withField(`provided: { provider: a, providerId: ${"a".repeat(256)} }`),
      "3:42",
      "is longer than 255 characters",
    ],
    [
      "machines[0].provided.status",
      withField('provided: { provider: a, providerId: "1", status: on }'),
      "3:55",
      "is not one of unknown, provisioning, running, stopped, missing, failed",
    ],
    ["machines[0].install", withField("install: {}"), "3:14", "has nothing to install; give it image or metropolis"],
    [
      "machines[0].install.generation",
      withField(`install: { generation: 0, image: ${imageYaml()} }`),
      "3:28",
      "is not between 1 and 9223372036854775807",
    ],
    [
      "machines[0].install.generation",
      withField(`install: { generation: 9223372036854775808, image: ${imageYaml()} }`),
      "3:28",
      "is not between 1 and 9223372036854775807",
    ],
    [
      "machines[0].install.generation",
      withField(`install: { generation: 1.5, image: ${imageYaml()} }`),
      "3:28",
      "is not a whole number; write one such as 123",
    ],
    [
      "machines[0].install.generation",
      withField(`install: { generation: "-1", image: ${imageYaml()} }`),
      "3:28",
      "is not a whole number; write one such as 123",
    ],
    [
      "machines[0].install.generation",
      withField(`install: { generation: next, image: ${imageYaml()} }`),
      "3:28",
      "is not a whole number; write one such as 123",
    ],
    [
      "machines[0].install.image.url",
      withImage({ url: "ftp://images.example/a" }),
      "3:30",
      "is a URL of ftp; agents fetch https and http only",
    ],
    [
      "machines[0].install.image.url",
      withImage({ url: "images.example/a" }),
      "3:30",
      "is not a URL; write one such as https://images.example.net/os.img",
    ],
    [
      "machines[0].install.image.url",
      withImage({ url: '"https:images.example/a"' }),
      "3:30",
      "does not begin with https:// and a host; write it in full",
    ],
    [
      "machines[0].install.image.url",
      withImage({ url: `https://a/${"b".repeat(2039)}` }),
      "3:30",
      "is longer than 2048 characters",
    ],
    [
      "machines[0].install.image.url",
      withImage({ url: '"https://a/b c"' }),
      "3:30",
      "is not a URL; write one such as https://images.example.net/os.img",
    ],
    [
      "machines[0].install.image.digest",
      withImage({ digest: "abc" }),
      "3:33",
      "is not a digest; write sha256: and the 64 lower-case hexadecimal digits of sha256sum",
    ],
    [
      "machines[0].install.image.digest",
      withImage({ digest: `"SHA256:${"AB".repeat(32)}"` }),
      "3:33",
      `is not in canonical form; write sha256:${"ab".repeat(32)}`,
    ],
    [
      "machines[0].install.image.rootDevice",
      withImage({ rootDevice: "/dev/nvme0n1" }),
      "3:37",
      "is a path; write the device's name alone: nvme0n1",
    ],
    [
      "machines[0].install.image.rootDevice",
      withImage({ rootDevice: "../sda" }),
      "3:37",
      "is not the plain name of a block device; write one such as sda or nvme0n1",
    ],
    [
      "machines[0].install.image.rootDevice",
      withImage({ rootDevice: "nvme0n1p2" }),
      "3:37",
      "is part of a disk; write the name of the whole disk: nvme0n1",
    ],
    [
      "machines[0].install.image.userDataBase64",
      withImage({ userDataBase64: '"a===="' }),
      "3:41",
      "is not base64; write it as `base64 -w0 FILE` prints it",
    ],
    [
      "machines[0].install.image.userDataBase64",
      withImage({ userDataBase64: "YQ==", userData: "a" }),
      "3:41",
      "repeats userData; keep one of the two",
    ],
    [
      "machines[0].install.image.userData",
      withImage({ userData: `"${"a".repeat(512 * 1024 + 1)}"` }),
      "3:35",
      "has 524289 bytes; 524288 are the most allowed",
    ],
  ])("is refused with its place and what to do: %s (%#)", async (field, text, place, message) => {
    expect(await parse(text)).toEqual([`${place} ${field}: ${message}`]);
  });

  test("is refused for bytes that an agent could not decode as a message", async () => {
    const osImage = `{ scheme: https, host: a, repository: b, tag: c, digest: "sha256:${"ab".repeat(32)}" }`;
    const install = (bytes: string) =>
      withField(`install: { metropolis: { nodeParameters: ${bytes}, rootDevice: sda, osImage: ${osImage} } }`);
    expect(await parse(install("CgIIAQ=="))).toEqual([]);
    expect(await parse(install("CgUIAQ=="))).toEqual([
      expect.stringMatching(/^3:46 .*nodeParameters: .*not a protobuf/),
    ]);
    expect(await parse(install('""'))).toEqual([expect.stringMatching(/^3:46 .*nodeParameters: is empty/)]);
  });
});

test("an image in a registry needs no tag beside its digest, and names without spaces", async () => {
  const install = (fields: string) =>
    withField(
      `install: { metropolis: { nodeParameters: CgIIAQ==, rootDevice: sda, osImage: { scheme: https, ${fields}, digest: "sha256:${"ab".repeat(32)}" } } }`,
    );
  expect(await parse(install("host: a, repository: b"))).toEqual([]);
  expect(await parse(install('host: "a b", repository: "b\u00e9", tag: -x'))).toEqual([
    expect.stringMatching(/osImage.host: is not a name of printable ASCII characters without spaces$/),
    expect.stringMatching(/osImage.repository: is not a name of printable ASCII characters without spaces$/),
    expect.stringMatching(/osImage.tag: is not a tag/),
  ]);
});

test("every mistake is reported at once, in the file's order", async () => {
  const places = (
    await parse(`machines:
  - id: nope
    provided: { provider: a, providerId: 1, stats: up, status: up }
    install:
      generation: x
      image: { url: nope, digest: nope, rootDevice: /, size: 1 }
      metropolis:
  - agent: { publicKey: nope }
  - {}
`)
  ).map((mistake) => mistake.slice(0, mistake.indexOf(": ")));
  expect(places).toEqual([
    "2:9 machines[0].id",
    "3:42 machines[0].provided.providerId",
    "3:45 machines[0].provided.stats",
    "3:64 machines[0].provided.status",
    "5:19 machines[0].install.generation",
    "6:21 machines[0].install.image.url",
    "6:35 machines[0].install.image.digest",
    "6:53 machines[0].install.image.rootDevice",
    "6:56 machines[0].install.image.size",
    "7:18 machines[0].install.metropolis",
    "7:18 machines[0].install.metropolis",
    "8:25 machines[1].agent.publicKey",
    "9:5 machines[2]",
  ]);
});

test("base64 may be wrapped into lines", async () => {
  const bytes = Buffer.alloc(100, 7);
  const lines = bytes.toString("base64").replaceAll(/.{76}/g, "$&\n          ");
  const text = withField(
    `install:\n      image:\n        url: https://a/b\n        digest: sha256:${"ab".repeat(32)}\n        rootDevice: sda\n        userDataBase64: |\n          ${lines}`,
  );
  expect(Buffer.from((await parseFleet(text))[0]?.install?.image?.userDataBase64 ?? [])).toEqual(bytes);
});
