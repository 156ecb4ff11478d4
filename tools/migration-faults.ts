/** What is wrong with a folder of migrations. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import config from "../drizzle.config.ts";
import * as schema from "../src/db/schema/index.ts";

interface Journal {
  readonly entries: readonly JournalEntry[];
}

interface JournalEntry {
  readonly idx: number;
  readonly tag: string;
  readonly when: number;
}

/**
 * One line for everything by which the migrations in `folder` differ from the schema modules, or would not all be
 * applied: Drizzle's migrator skips, without a word, one that is dated before another that it applied.
 */
export async function findMigrationFaults(folder: string): Promise<string[]> {
  const { entries } = readJson<Journal>(folder, "meta/_journal.json");
  const faults = [...findMisplacedEntries(entries), ...findMissingAndStrayFiles(folder, entries)];
  return faults.length > 0 ? faults : findSchemaDrift(folder, entries);
}

function findMisplacedEntries(entries: readonly JournalEntry[]): string[] {
  return entries.flatMap((entry, index) => {
    const previous = entries[index - 1];
    if (entry.idx !== index) return [`${entry.tag}: entry ${index} of the journal says that it is entry ${entry.idx}`];
    if (previous === undefined || entry.when > previous.when) return [];
    return [
      `${entry.tag}: dated no later than ${previous.tag} before it, so a database that has that one would never get it`,
    ];
  });
}

function findMissingAndStrayFiles(folder: string, entries: readonly JournalEntry[]): string[] {
  const expected = new Set(entries.flatMap((entry) => [`${entry.tag}.sql`, snapshotOf(entry)]));
  const missing = [...expected].filter((name) => !existsSync(join(folder, name)));
  const present = [...readdirSync(folder), ...readdirSync(join(folder, "meta")).map((name) => `meta/${name}`)];
  const stray = present.filter((name) => /\.sql$|_snapshot\.json$/.test(name) && !expected.has(name));
  return [
    ...missing.map((name) => `${name}: missing, although the journal names its migration`),
    ...stray.map((name) => `${name}: the journal names no such migration`),
  ];
}

async function findSchemaDrift(folder: string, entries: readonly JournalEntry[]): Promise<string[]> {
  const last = entries.at(-1);
  if (last === undefined) return ["the journal names no migrations"];
  const migrated = readJson<object>(folder, snapshotOf(last));
  // Takes seconds to load.
  const { generateDrizzleJson } = await import("drizzle-kit/api");
  const { casing } = config as { casing?: "snake_case" };
  const wanted = generateDrizzleJson(schema, undefined, undefined, casing);
  // Every snapshot has an id of its own.
  const comparable = (snapshot: object) => JSON.parse(JSON.stringify({ ...snapshot, id: "", prevId: "" })) as unknown;
  if (isDeepStrictEqual(comparable(migrated), comparable(wanted))) return [];
  return [`src/db/schema differs from what the migrations up to ${last.tag} make: run "npm run db:generate"`];
}

function snapshotOf(entry: JournalEntry): string {
  return `meta/${entry.tag.split("_")[0]}_snapshot.json`;
}

function readJson<T>(folder: string, name: string): T {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as T;
}
