import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { findMigrationFaults } from "../../tools/migration-faults.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = join(await mkdtemp(join(inject("testFolder"), "migrations-")), "drizzle");
  await cp(join(repository, "drizzle"), folder, { recursive: true });
});

interface Journal {
  entries: { idx: number; when: number; tag: string }[];
}

async function edit<T>(name: string, change: (content: T) => void): Promise<void> {
  const path = join(folder, name);
  const content = JSON.parse(await readFile(path, "utf8")) as T;
  change(content);
  await writeFile(path, JSON.stringify(content));
}

describe("the check of migrations", () => {
  it("is content with the repository's", async () => {
    expect(await findMigrationFaults(folder)).toEqual([]);
  });

  it("fails on a migration dated before another one, which databases would never get", async () => {
    await edit<Journal>("meta/_journal.json", ({ entries }) => {
      const when = entries.at(-1)?.when ?? 0;
      entries.push({ idx: entries.length, when, tag: "9999_late" });
    });
    await writeFile(join(folder, "9999_late.sql"), "");
    await writeFile(join(folder, "meta", "9999_snapshot.json"), "{}");
    expect(await findMigrationFaults(folder)).toEqual([expect.stringMatching(/^9999_late: dated no later than 0/)]);
  });

  it("fails on a migration without its file, and on a file without its entry", async () => {
    const { entries } = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as Journal;
    await rm(join(folder, `${entries[0]?.tag}.sql`));
    await writeFile(join(folder, "9999_stray.sql"), "");
    expect(await findMigrationFaults(folder)).toEqual([
      `${entries[0]?.tag}.sql: missing, although the journal names its migration`,
      "9999_stray.sql: the journal names no such migration",
    ]);
  });

  it("fails when the schema modules say something else", async () => {
    const { entries } = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as Journal;
    const snapshot = `meta/${entries.at(-1)?.tag.split("_")[0]}_snapshot.json`;
    await edit<{ tables: Record<string, unknown> }>(snapshot, ({ tables }) => {
      delete tables["public.machine"];
    });
    expect(await findMigrationFaults(folder)).toEqual([expect.stringContaining('run "npm run db:generate"')]);
  });
});
