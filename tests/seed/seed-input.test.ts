import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeAll, expect, inject, test } from "vitest";
import { openSeedInput, UnreadableSeedError } from "../../src/seed/read/seed-input.ts";
import { TemporaryFolderError } from "../../src/seed/read/spool.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(inject("testFolder"), "seed-"));
});

test("a file that is not there is refused, saying so", async () => {
  const opening = openSeedInput(join(folder, "missing"), Readable.from([]));
  await expect(opening).rejects.toThrow(new UnreadableSeedError("there is no such file"));
});

test("a folder is refused, saying so", async () => {
  await expect(openSeedInput(folder, Readable.from([]))).rejects.toThrow(new UnreadableSeedError("is a folder"));
});

test("any part of a file, and of standard input that does not fit into memory, is read again", async () => {
  const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(256 * 1024, index));
  const file = join(folder, "large");
  await writeFile(file, Buffer.concat(chunks));
  for (const [name, stdin] of [
    [file, []],
    ["-", chunks],
  ] as const) {
    await using input = await openSeedInput(name, Readable.from(stdin));
    expect(input.size).toBe(10 * 1024 * 1024);
    for (const place of [39, 0, 20]) {
      const bytes = await input.read(place * 256 * 1024 - (place === 0 ? 0 : 1), 2);
      expect([...bytes]).toEqual(place === 0 ? [0, 0] : [place - 1, place]);
    }
    expect((await input.read(input.size - 1, 10)).length).toBe(1);
  }
});

test("a temporary folder that takes nothing is named, with what to do, and is no mistake of the file", async () => {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = join(folder, "not-there");
  try {
    const chunks = Array.from({ length: 20 }, () => Buffer.alloc(256 * 1024));
    await expect(openSeedInput("-", Readable.from(chunks))).rejects.toThrow(
      `the temporary folder ${process.env.TMPDIR} takes no files (ENOENT): mend that, or name another in TMPDIR`,
    );
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    expect(new TemporaryFolderError(full).message).toBe(
      `the temporary folder ${process.env.TMPDIR} is full (ENOSPC): mend that, or name another in TMPDIR`,
    );
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
});
