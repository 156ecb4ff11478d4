import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeAll, expect, inject, test } from "vitest";
import { readSeedFile, UnreadableSeedError } from "../../src/seed/read-seed-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(inject("testFolder"), "seed-"));
});

const unreadable: [what: string, content: string | Buffer | undefined, message: string][] = [
  ["is not there", undefined, "there is no such file"],
  ["is not UTF-8", Buffer.from("\ufeffmachines: []", "utf16le"), "is not UTF-8; save it in that encoding"],
  [
    "is too large",
    Buffer.alloc(16 * 1024 * 1024 + 1, "#"),
    "is larger than 16 MiB; split it and seed the parts one by one",
  ],
];

test.each(unreadable)("a file that %s is refused, saying so", async (what, content, message) => {
  const file = join(folder, what.replaceAll(" ", "-"));
  if (content !== undefined) await writeFile(file, content);
  await expect(readSeedFile(file, Readable.from([]))).rejects.toThrow(new UnreadableSeedError(message));
});

test("a folder is refused, saying so", async () => {
  await expect(readSeedFile(folder, Readable.from([]))).rejects.toThrow(new UnreadableSeedError("is a folder"));
});

test("standard input that never ends is refused once it is too much", async () => {
  const endless = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(1024 * 1024, "#");
    })(),
  );
  await expect(readSeedFile("-", endless)).rejects.toThrow("is larger than 16 MiB");
});

test("a byte order mark is no part of the text", async () => {
  const file = join(folder, "bom.yaml");
  await writeFile(file, "\ufeffmachines: []\n");
  expect(await readSeedFile(file, Readable.from([]))).toBe("machines: []\n");
});
