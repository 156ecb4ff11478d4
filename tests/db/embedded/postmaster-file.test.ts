import { readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { readPostmasterFile, removeStalePostmasterFile } from "../../../src/db/embedded/postmaster-file.ts";
import { makeTestFolder } from "../../support/embedded-owner.ts";

let dataFolder: string;
let file: string;

beforeEach(async () => {
  dataFolder = await makeTestFolder();
  file = join(dataFolder, "postmaster.pid");
});

async function write(content: string, ageMs: number): Promise<void> {
  await writeFile(file, content);
  const at = new Date(Date.now() - ageMs);
  await utimes(file, at, at);
}

it("tells when PostgreSQL became ready, not when it was started: its recovery may have taken long", async () => {
  await write(`4194305\n${dataFolder}\n1700000000\n5432\n\n127.0.0.1\n  1 2\nready   \n`, 1_000);
  const postmaster = await readPostmasterFile(dataFolder);
  expect(postmaster).toMatchObject({ pid: 4194305, port: 5432, ready: true });
  expect(Date.now() - (postmaster?.changedAtMs ?? 0)).toBeLessThan(60_000);
});

describe("what a crash left is removed", () => {
  it.each([
    ["the id of a process that is gone", "4194305\n"],
    ["the id of another program", `${process.pid}\n`],
    ["nothing", ""],
    ["zeros", "\0".repeat(80)],
  ])("when it holds %s", async (_what, content) => {
    await write(content, 60_000);
    await removeStalePostmasterFile(dataFolder);
    expect(await readdir(dataFolder)).toEqual([]);
  });

  it("but not what a process is about to fill", async () => {
    await write("", 0);
    await removeStalePostmasterFile(dataFolder);
    expect(await readdir(dataFolder)).toEqual(["postmaster.pid"]);
  });
});
