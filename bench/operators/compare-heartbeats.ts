/** Compares batches of heartbeats with the earlier version, at the database. */
import { randomBytes } from "node:crypto";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import { withClient } from "../end-to-end/seed-fleet.ts";
import { type ComparisonRow, compare } from "./comparison.ts";
import type { FleetVersion, FleetVersions } from "./versions.ts";

/** Heartbeats of one batch, about as many as a busy server gathers while another batch commits. */
const batchSize = 100;

/**
 * Writes batches of plain heartbeats, of heartbeats with the report that is stored, and of heartbeats whose report
 * differs and has the same parts, by both versions in turn.
 */
export async function compareHeartbeats({ now, before }: FleetVersions, calls: number): Promise<ComparisonRow[]> {
  await using writing = await openWriter(now);
  await using writingBefore = await openWriter(before);
  const kinds = {
    "batch of heartbeats": { allowed: 1.05, add: () => ({}) },
    "the same with the stored report": { add: (report: Uint8Array) => ({ report }) },
    "the same with reports that differ": { add: () => ({ report: randomBytes(1200) }) },
  } as const;
  const rows: ComparisonRow[] = [];
  for (const [what, { add, ...limit }] of Object.entries(kinds)) {
    rows.push(
      await compare({
        what: `${what}, beside ${before.name}`,
        measured: (call) => writing.write(call, add),
        beside: (call) => writingBefore.write(call, add),
        ...{ calls, ...limit },
      }),
    );
  }
  return rows;
}

type Add = (report: Uint8Array) => { readonly report?: Uint8Array };

async function openWriter(version: FleetVersion) {
  const { openHeartbeatStore } =
    await version.load<typeof import("../../src/db/heartbeat-store.ts")>("src/db/heartbeat-store.ts");
  const store = openHeartbeatStore(version.databaseUrl, { maxBatches: 1 });
  const agents = await readAgents(version.databaseUrl);
  return {
    async write(call: number, add: Add): Promise<void> {
      const first = (call * batchSize) % (agents.length - batchSize);
      const rows = agents.slice(first, first + batchSize).map((agent) => toRow(agent, add(agent.report)));
      const outcomes = await store.write(rows);
      if (outcomes.some(({ kind }) => kind !== "counted")) throw new Error("a heartbeat did not count");
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
}

interface Agent {
  readonly machine_id: string;
  readonly public_key: Buffer;
  readonly report: Buffer;
  readonly identifiers: readonly NonNullable<HeartbeatRow["hardwareReport"]>["identifiers"][number][];
}

function toRow(agent: Agent, { report }: ReturnType<Add>): HeartbeatRow {
  const { machine_id: machineId, public_key: publicKey, identifiers } = agent;
  const figures = { memoryBytes: 1n, cpuThreads: 1, diskBytes: 1n, largestDiskBytes: 1n };
  return { machineId, publicKey, ...(report && { hardwareReport: { report, ...figures, identifiers } }) };
}

/** Agents from all parts of the table, with the stored report and what it contains. */
async function readAgents(databaseUrl: string): Promise<Agent[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows: found } = await client.query<{ present: boolean }>(
      "select to_regclass('machine_identifier') is not null as present",
    );
    const identifiers = `(select coalesce(jsonb_agg(to_jsonb(identifier)), '[]') from machine_identifier identifier
                           where identifier.machine_id = agent_started.machine_id and gone_at is null)`;
    const { rows } = await client.query<Agent>(
      `select machine_id, public_key, report, ${found[0]?.present ? identifiers : "'[]'::jsonb"} as identifiers
         from agent_started join hardware_report using (machine_id) join agent_heartbeat using (machine_id)
        order by md5(machine_id::text) limit 20000`,
    );
    return rows;
  });
}
