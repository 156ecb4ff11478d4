/** Compares counting the fleet with the earlier version, at the database. */
import { type ComparisonRow, compare } from "./comparison.ts";
import type { FleetVersion, FleetVersions } from "./versions.ts";

/** Counts the fleet by both versions in turn. */
export async function compareFleetCount({ now, before }: FleetVersions, calls: number): Promise<ComparisonRow[]> {
  await using counted = await openCount(now);
  await using countedBefore = await openCount(before);
  const row = await compare({
    what: `count of the fleet, beside ${before.name}`,
    measured: counted.count,
    beside: countedBefore.count,
    ...{ calls, allowed: 1.2 },
  });
  return [row];
}

async function openCount(version: FleetVersion) {
  const { countFleet } = await version.load<typeof import("../../src/db/queries/fleet.ts")>("src/db/queries/fleet.ts");
  const { connectDatabase } = await version.load<typeof import("../../src/db/client.ts")>("src/db/client.ts");
  const { db, close } = connectDatabase(version.databaseUrl);
  return { count: () => countFleet(db), [Symbol.asyncDispose]: close };
}
