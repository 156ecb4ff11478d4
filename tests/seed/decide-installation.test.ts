import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ExpectedDiskSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { maxGeneration } from "../../src/db/queries/installation-generation.ts";
import { decideInstallation, encodeInstall } from "../../src/seed/decide-installation.ts";
import { type Install, machineSchema } from "../../src/seed/fleet-schema.ts";
import { parseSeedDocument } from "../../src/seed/seed-document.ts";
import { imageYaml } from "../support/seed.ts";

function install(content: string, generation?: bigint) {
  const given = generation === undefined ? "" : `generation: "${generation}", `;
  const text = `machines: [{ agent: {publicKey: ${"4583385fcbd3362e60adcf82dfb6d7e0919512bafbf915272c27579a80b05be1"}}, install: { ${given}image: ${imageYaml(content)} } }]`;
  const { machines } = parseSeedDocument(text).value as { machines: unknown[] };
  const wanted = machineSchema.parse(machines[0]).install;
  if (wanted === undefined) throw new Error("no install");
  return wanted;
}

/** Stored requests that nobody can read. */
const unreadable: ReadonlyMap<string, Uint8Array> = new Map([
  ["garbage", Buffer.of(0xff)],
  ["nothing", Buffer.of()],
]);

/** What was requested before: generations and contents, the greatest one last. */
function before(requests: [generation: bigint, content: string, cancelled?: "cancelled"][], named?: bigint) {
  const rows = requests.map(([generation, content, cancelled]) => ({
    machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
    generation,
    cancelledAt: cancelled === undefined ? null : new Date(),
    diskSelector: null,
    request: unreadable.get(content) ?? encodeInstall(install(content), generation),
  }));
  return {
    latest: rows.at(-1),
    named: rows.find((row) => row.generation === named),
    reached: rows.at(-1)?.generation ?? 0n,
  };
}

const five: [bigint, string][] = [[5n, "a"]];

describe("an install with a generation", () => {
  test.each([
    ["the first one", 1n, "a", [], { kind: "request", generation: 1n }],
    ["greater than all", 6n, "a", five, { kind: "request", generation: 6n }],
    ["the latest, the same", 5n, "a", five, { kind: "unchanged", generation: 5n }],
    [
      "the latest, something else",
      5n,
      "b",
      five,
      { kind: "refused", message: /^was requested with other content already; give a generation of at least 6/ },
    ],
    [
      "lower, never requested",
      4n,
      "a",
      five,
      { kind: "refused", message: /^does not exceed 5, .* give a generation of at least 6$/ },
    ],
    ["lower, the same", 5n, "a", [...five, [7n, "b"]], { kind: "unchanged", generation: 5n, note: "superseded" }],
    ["lower, something else", 5n, "b", [...five, [7n, "b"]], { kind: "refused", message: /at least 8/ }],
    [
      "cancelled, the same",
      5n,
      "a",
      [[5n, "a", "cancelled"]],
      { kind: "unchanged", generation: 5n, note: "cancelled" },
    ],
    ["unreadable", 5n, "a", [[5n, "garbage"]], { kind: "refused", message: /other content/ }],
    ["the last there is", maxGeneration, "a", five, { kind: "request", generation: maxGeneration }],
    ["used up", 1n, "a", [[maxGeneration, "a"]], { kind: "refused", message: /no generation is left$/ }],
  ] as const)("%s", (_name, generation, content, requests, decision) => {
    const found = before([...requests] as Parameters<typeof before>[0], generation);
    expect(decideInstallation(install(content, generation), found)).toMatchObject(matching(decision));
  });
});

describe("an install without a generation", () => {
  test.each([
    ["the first one", "a", [], { kind: "request" }],
    ["the same as the latest", "a", five, { kind: "unchanged", generation: 5n }],
    ["something else", "b", five, { kind: "request" }],
    ["the same as an earlier one", "a", [...five, [7n, "b"]], { kind: "request" }],
    [
      "the same as a cancelled one",
      "a",
      [[5n, "a", "cancelled"]],
      { kind: "unchanged", generation: 5n, note: "cancelled" },
    ],
    ["something else than a cancelled one", "b", [[5n, "a", "cancelled"]], { kind: "request" }],
    [
      "after one that is unreadable",
      "a",
      [[5n, "garbage"]],
      { kind: "refused", message: /unreadable; give a generation of at least 6$/ },
    ],
    ["after one without a type", "a", [[5n, "nothing"]], { kind: "refused", message: /unreadable; give a generation/ }],
    ["after the last there is", "b", [[maxGeneration, "a"]], { kind: "refused", message: /^no generation is left/ }],
  ] as const)("%s", (_name, content, requests, decision) => {
    const found = before([...requests] as Parameters<typeof before>[0]);
    expect(decideInstallation(install(content), found)).toMatchObject(matching(decision));
  });
});

function matching(decision: { kind: string; message?: RegExp }) {
  return decision.message === undefined
    ? decision
    : { ...decision, message: expect.stringMatching(decision.message) as string };
}

test("contents are compared as messages, not by the order in which an encoder wrote their fields", () => {
  const wanted = install("a", 5n);
  const bytes = encodeInstall(wanted, 5n);
  // Field 1 (generation) takes the first two bytes; a message means the same with it at the end.
  const reordered = Buffer.concat([bytes.subarray(2), bytes.subarray(0, 2)]);
  const row = { machineId: "", generation: 5n, cancelledAt: null, diskSelector: null, request: reordered };
  expect(decideInstallation(wanted, { latest: row, named: row, reached: 5n })).toMatchObject({ kind: "unchanged" });
});

describe("an installation whose disk was looked up", () => {
  const chosen = {
    diskId: "x",
    kernelName: "sdq",
    expectedDisk: toBinary(ExpectedDiskSchema, create(ExpectedDiskSchema, { serialNumber: "SER1" })),
    description: "sdq",
    disks: {},
    systemUuid: undefined,
  };
  const stored = (wanted: Install, diskSelector: string) => {
    const request = encodeInstall(wanted, 5n, chosen);
    return { machineId: "", generation: 5n, cancelledAt: null, diskSelector, request };
  };
  const decide = (wanted: Install, row: ReturnType<typeof stored>) =>
    decideInstallation(wanted, { latest: row, named: row, reached: 5n }).kind;
  const { image: { rootDevice: _, ...image } = { url: "", digest: "" } } = install("a");

  test("is unchanged as long as the file names the disk in the same way, whatever the disk was called", () => {
    const smallest: Install = { image, disk: { smallest: true, protocol: "nvme" } };
    expect(decide(smallest, stored(smallest, "smallest,protocol=nvme"))).toBe("unchanged");
    expect(decide({ image, disk: { largest: true } }, stored(smallest, "smallest,protocol=nvme"))).toBe("request");
    expect(decide(install("a"), stored(smallest, "smallest,protocol=nvme"))).toBe("request");
    expect(decide(install("a"), stored(install("a"), "name=sda"))).toBe("unchanged");
    expect(decide({ image: { ...image, rootDevice: "sdb" } }, stored(install("a"), "name=sda"))).toBe("request");
  });

  test("is unchanged by whether the disk of a name is looked up, so that an update of the server installs nothing", () => {
    const unchecked = { ...stored(install("a"), ""), diskSelector: null, request: encodeInstall(install("a"), 5n) };
    expect(decideInstallation(install("a"), { latest: unchecked, reached: 5n }).kind).toBe("unchanged");
    const row = stored(install("a"), "name=sda");
    expect(decide({ ...install("a"), uncheckedDisk: true }, row)).toBe("unchanged");
  });
});
