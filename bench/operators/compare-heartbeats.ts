/** Compares batches of heartbeats with the earlier version, at the database. */
import { randomBytes } from "node:crypto";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import type { HardwareFacts } from "../../src/db/schema/machine-finding.ts";
import { withClient } from "../end-to-end/seed-fleet.ts";
import { type ComparisonRow, compare } from "./comparison.ts";
import type { FleetVersion, FleetVersions } from "./versions.ts";

/** Heartbeats of one batch, about as many as a busy server gathers while another batch commits. */
const batchSize = 100;

/**
 * Writes batches of plain heartbeats, of heartbeats with the report that is stored, first when it was confirmed within
 * the hour and then when it was not, and of heartbeats whose report differs and has the same parts, by both versions in
 * turn.
 */
export async function compareHeartbeats({ now, before }: FleetVersions, calls: number): Promise<ComparisonRow[]> {
  // Each call has machines of its own, so that none has been confirmed by an earlier one.
  const agents = await readAgents(now.databaseUrl, batchSize * (calls + 1));
  await using writing = await openWriter(now, agents);
  await using writingBefore = await openWriter(before, agents);
  // What is stored then comes from each version itself, as in a fleet that it has served for a while.
  const others: Add = () => ({ report: randomBytes(1200) });
  const stored: Add = ({ report }) => ({ report });
  for (let call = 0; call <= calls; call++) {
    for (const writer of [writing, writingBefore]) {
      await writer.write(call, others);
      await writer.write(call, stored);
    }
  }
  const kinds = {
    "batch of heartbeats": { allowed: 1.05, add: () => ({}) },
    "the same with the stored report": { add: stored },
    "the same an hour later": { add: stored, begin: letAnHourPass },
    "the same with reports that differ": { add: others },
  } as const;
  const rows: ComparisonRow[] = [];
  for (const [what, { add, ...options }] of Object.entries(kinds)) {
    const { begin, ...limit } = { begin: async () => {}, ...options };
    await begin(now);
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

/** Lets an hour pass since the reports were confirmed; the earlier version confirms none. */
async function letAnHourPass({ databaseUrl }: FleetVersion): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query("update hardware_report set confirmed_at = now() - interval '2 hours'");
    await client.query("vacuum (analyze) hardware_report");
  });
}

type Add = (agent: Agent) => { readonly report?: Uint8Array };

async function openWriter(version: FleetVersion, agents: readonly Agent[]) {
  const { openHeartbeatStore } =
    await version.load<typeof import("../../src/db/heartbeat-store.ts")>("src/db/heartbeat-store.ts");
  const store = openHeartbeatStore(version.databaseUrl, { maxBatches: 1 });
  return {
    async write(call: number, add: Add): Promise<void> {
      const rows = agents.slice(call * batchSize, (call + 1) * batchSize).map((agent) => toRow(agent, add(agent)));
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
  return { machineId, publicKey, ...(report && { hardwareReport: { report, ...figures, identifiers, facts } }) };
}

/** What a report says of its parts: two disks and two interfaces, in which nothing is wrong. */
const facts: HardwareFacts = {
  ...{ serial: "serial-1", memory: "1", diskCount: 2, interfaceCount: 2, findings: [] },
  disks: Object.fromEntries(["a", "b"].map((name) => [`disk ${name}`, { text: `sd${name} Disk 1`, errors: "0" }])),
  interfaces: Object.fromEntries(
    [1, 2].map((last) => [`interface 3c:ec:ef:00:00:0${last}`, { text: `eth${last} e1000`, up: true }]),
  ),
};

/** Agents from all parts of the table, with the stored report and what it contains. */
async function readAgents(databaseUrl: string, limit: number): Promise<Agent[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<Agent>(
      `select machine_id, public_key, report,
              (select coalesce(jsonb_agg(to_jsonb(identifier)), '[]') from machine_identifier identifier
                where identifier.machine_id = agent_started.machine_id and gone_at is null) as identifiers
         from agent_started join hardware_report using (machine_id) join agent_heartbeat using (machine_id)
        order by md5(machine_id::text) limit $1`,
      [limit],
    );
    if (rows.length < limit) throw new Error(`the fleet has ${rows.length} agents, and ${limit} are needed`);
    return rows;
  });
}
