/** Moves installations to the states that tests need, by storing what heartbeats and operators would have stored. */
import { create, toBinary } from "@bufbuild/protobuf";
import { and, eq, type SQL, sql } from "drizzle-orm";
import { OSInstallationReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { Database } from "../../src/db/client.ts";
import { osInstallationReport, osInstallationRequest } from "../../src/db/schema/index.ts";
import { type Observed, observe } from "./observer.ts";

/** State that a pending installation can be moved to. */
export type MovableState = "given" | "installing" | "overdue" | "succeeded" | "failed" | "cancelled";

const minutesAgo = (minutes: number): SQL => sql`now() - make_interval(mins => ${minutes})`;
const given = { firstGivenAt: minutesAgo(30), lastGivenAt: minutesAgo(29), timesGiven: 3n, dueAt: minutesAgo(-10) };

const changes = {
  given,
  installing: { ...given, startedAt: minutesAgo(25), progressAt: minutesAgo(20), phase: "writing", percent: 40 },
  overdue: { ...given, dueAt: minutesAgo(10) },
  succeeded: { ...given, finishedAt: minutesAgo(5), result: "success" },
  failed: { ...given, finishedAt: minutesAgo(5), result: "error", error: "no such disk" },
  cancelled: { cancelledAt: minutesAgo(5), cancelledBy: "test" },
} as const satisfies Record<MovableState, unknown>;

/** Moves a pending installation to another state. */
export async function moveInstallation(
  db: Database,
  machineId: string,
  generation: bigint,
  state: MovableState,
): Promise<void> {
  await db.update(osInstallationRequest).set(changes[state]).where(isInstallation(machineId, generation));
  if (state !== "succeeded" && state !== "failed") return;
  const report = toBinary(OSInstallationReportSchema, create(OSInstallationReportSchema, { generation }));
  const { result } = changes[state];
  const row = {
    generation,
    reportedAt: minutesAgo(5),
    result,
    error: state === "failed" ? "no such disk" : null,
    report,
  };
  await db
    .insert(osInstallationReport)
    .values({ machineId, ...row })
    .onConflictDoUpdate({ target: osInstallationReport.machineId, set: row });
}

/** Reads a stored request. Throws if there is none. */
export async function readInstallation(database: Observed, machineId: string, generation: bigint) {
  const row = await findInstallation(database, machineId, generation);
  if (row === undefined) throw new Error(`there is no installation ${generation} of ${machineId}`);
  return row;
}

/** Reads a stored request; undefined if there is none. */
export async function findInstallation(database: Observed, machineId: string, generation: bigint) {
  const [row] = await observe(database)<(typeof osInstallationRequest.$inferSelect)[]>`
    select * from os_installation_request where machine_id = ${machineId} and generation = ${generation}`;
  return row;
}

function isInstallation(machineId: string, generation: bigint) {
  return and(eq(osInstallationRequest.machineId, machineId), eq(osInstallationRequest.generation, generation));
}
