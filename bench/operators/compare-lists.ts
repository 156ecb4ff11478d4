/** Compares lists and watches with those of an earlier version, and the first page with its own statement alone. */
import type pg from "pg";
import { median } from "../measure/statistics.ts";
import { type ComparisonRow, compare } from "./comparison.ts";
import { timeWatch } from "./measure-waits.ts";
import { type Serving, serveVersion } from "./serve-version.ts";
import type { FleetVersion, FleetVersions } from "./versions.ts";

/** How much to measure. */
export interface ListEffort {
  /** Number of calls of each first page. */
  readonly calls: number;
  /** Number of whole lists by each version. */
  readonly lists: number;
  readonly watchers: number;
  /** Folder in which the servers have their homes. */
  readonly folder: string;
}

/** Compares first pages, whole lists as JSON, and the time until all watchers have a change. */
export async function compareLists(
  { now, before }: FleetVersions,
  { calls, lists, watchers, folder }: ListEffort,
): Promise<ComparisonRow[]> {
  await using serving = await serveVersion(now, folder);
  await using servingBefore = await serveVersion(before, folder);
  return [
    await compareFirstPage(now, calls, { allowed: 1.5 }),
    await compareFirstPage(before, calls, {}),
    await compare({
      what: `machines list --json of all, beside ${before.name}`,
      measured: serving.list,
      beside: servingBefore.list,
      ...{ calls: lists, allowed: 0.2 },
    }),
    await compareWatches(serving, servingBefore, { watchers, name: before.name }),
  ];
}

/** Compares the query of the first page, as a version runs it, with its statement prepared by pg. */
async function compareFirstPage(
  version: FleetVersion,
  calls: number,
  limit: { readonly allowed?: number },
): Promise<ComparisonRow> {
  const { listMachineOverviews } = await version.load<typeof import("../../src/db/queries/machine-overview.ts")>(
    "src/db/queries/machine-overview.ts",
  );
  const { connectDatabase } = await version.load<typeof import("../../src/db/client.ts")>("src/db/client.ts");
  const { db, close } = connectDatabase(version.databaseUrl, { maxConnections: 1 });
  const measured = () => listMachineOverviews(db, {}, { after: undefined, through: undefined, limit: 51 });
  const { text, values } = await captureStatement(db.$client, measured);
  const beside = () => db.$client.query({ name: "bench", text, values });
  const row = await compare({
    what: `query of a first page by ${version.name}, beside its statement prepared by pg`,
    ...{ measured, beside, calls, ...limit },
  });
  await close();
  return row;
}

/** Returns the only statement of `work`. */
async function captureStatement(pool: pg.Pool, work: () => Promise<unknown>) {
  const { query } = pool;
  let captured: { readonly text: string; readonly values: unknown[] } | undefined;
  const remember = (config: pg.QueryConfig, values: unknown[] = config.values ?? []) => {
    captured = { text: config.text, values };
    return Reflect.apply(query, pool, [{ ...config, values }]);
  };
  Object.assign(pool, { query: remember });
  await work();
  Object.assign(pool, { query });
  if (captured === undefined) throw new Error("the first page ran no statement");
  return captured;
}

/** Compares the times until the last watcher has a change, in turn, so that a slow minute affects both. */
async function compareWatches(
  now: Serving,
  before: Serving,
  { watchers, name }: { readonly watchers: number; readonly name: string },
): Promise<ComparisonRow> {
  const count = watchers.toLocaleString("en");
  process.stderr.write(`a change until ${count} watchers have it …\n`);
  const [took, tookBefore]: [number[], number[]] = [[], []];
  for (let round = 0; round < 3; round++) {
    took.push(...(await timeWatch(now.operator, watchers)));
    tookBefore.push(...(await timeWatch(before.operator, watchers)));
  }
  const [middle, middleBefore] = [median(took), median(tookBefore)];
  const ratio = (middle / middleBefore).toFixed(2);
  const what = `a change until ${count} watchers have it, beside ${name}`;
  return [what, middle.toFixed(2), middleBefore.toFixed(2), ratio, "≤ 0.2"];
}
