/** Selects the machines of the fleet in groups, with their sums and how long they have been in their states. */
import { type SQL, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { hardwareReport, machineLabel, type machineState } from "../schema/index.ts";
import { isHolding } from "../schema/machine-hold.ts";
import { selectMachineStates } from "../schema/machine-state.ts";
import { isPastLimit } from "../schema/state-limit.ts";
import { readStateLimits, type StateLimitRows } from "./state-limit.ts";

/** Ages by which the time in a state is counted, in seconds: a minute, 10 min, an hour, 6 h, a day, a week, 30 days. */
export const stateAges = [60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000] as const;

/** The machines of one state at one provider's location. */
export interface FleetGroup {
  /** Null when the machines are not provided. */
  readonly provider: string | null;
  /** Null when it is not known. */
  readonly location: string | null;
  readonly state: typeof machineState.$inferSelect.state;
  /** The requested labels that the machines have. */
  readonly labels: Readonly<Record<string, string>>;
  readonly machines: bigint;
  /** Machines that are held, and machines that are left out of alerts. */
  readonly heldMachines: bigint;
  readonly mutedMachines: bigint;
  /** Sums over all these machines, as far as their agents have reported hardware. */
  readonly memoryBytes: bigint;
  readonly cpuThreads: bigint;
  readonly diskBytes: bigint;
  /** Machines that have exceeded the limit of the state, except those that are held or left out of alerts. */
  readonly stateOverdueMachines: bigint;
  /** When the machine that has been in the state for longest entered it. */
  readonly oldestStateTime: Date;
  /** How long all these machines have been in the state, together. */
  readonly stateSeconds: number;
  /** How many of them have been in it for at most each of `stateAges`. */
  readonly youngerMachines: readonly bigint[];
}

/** Maximum number of groups in a count by labels. */
const maxGroups = 5000;

/** The requested labels split the fleet into too many groups. */
export class TooManyGroupsError extends Error {
  override readonly name = "TooManyGroupsError";
  constructor(labelKeys: readonly string[]) {
    super(
      `the labels ${labelKeys.join(", ")} split the fleet into more than ${maxGroups} groups: count by fewer of them`,
    );
  }
}

/**
 * Returns the groups that have machines, by state, provider, location and the labels of the given keys. `countedAt` is
 * the time of the transaction, which `prepareCounting` has prepared. Throws TooManyGroupsError.
 */
export async function readFleetGroups(
  tx: Transaction,
  labelKeys: readonly string[],
  countedAt: Date,
): Promise<FleetGroup[]> {
  const limits = await readStateLimits(tx);
  const { rows } = await tx.execute<GroupRow>(selectFleetGroups({ labelKeys, limits, countedAt }));
  if (rows.length > maxGroups && labelKeys.length > 0) throw new TooManyGroupsError(labelKeys);
  return rows.map((row) => toGroup(row, labelKeys, countedAt));
}

/**
 * Upper bound of a sum, the same as of an agent's own figures: one agent that claims the maximum must not keep the
 * others from being shown.
 */
const maxInt64 = 2n ** 63n - 1n;

/** Options of `selectFleetGroups`. */
interface Selection {
  readonly labelKeys: readonly string[];
  readonly limits: StateLimitRows;
  /** The time of the transaction. */
  readonly countedAt: Date;
}

/**
 * Selects the groups. Reads each table once, and holds twice. Reads only indexes, except for heartbeats, holds, muting
 * alerts and open installations. A machine's state and since when it has it are computed once, in a subquery that
 * OFFSET keeps apart; times are compared with parameters, since PostgreSQL would compute `now() - …` for each row.
 * @public
 */
export function selectFleetGroups({ labelKeys, limits, countedAt }: Selection): SQL {
  const sum = (column: string) => sql.raw(`least(coalesce(sum(${column}), 0), ${maxInt64})`);
  const labels = labelKeys.map((_, index) => sql.raw(`label_${index}`));
  const list = (parts: readonly SQL[]) => sql.join([...parts], sql`, `);
  const joins = labelKeys.map(
    (key, index) => sql`
        left join ${machineLabel} as ${labels[index]}
          on ${labels[index]}.machine_id = state.machine_id and ${labels[index]}.key = ${key}`,
  );
  const values = labels.map((label) => sql`, ${label}.value as ${label}`);
  const younger = stateAges.map((seconds) => {
    const time = new Date(countedAt.getTime() - seconds * 1000).toISOString();
    return sql`count(*) filter (where since >= ${time}::timestamptz)`;
  });
  return sql`
    select provider, location, state, array[${list(labels)}]::text[] as values,
           count(*) as machines, count(*) filter (where is_held) as held, count(*) filter (where is_muted) as muted,
           ${sum("memory_bytes")} as memory, ${sum("cpu_threads")} as threads, ${sum("disk_bytes")} as disks,
           ${countOverdue(limits)} as overdue, min(since) as oldest, sum(date_part('epoch', since)) as since_seconds,
           array[${list(younger)}] as younger
      from (
        select state.provider, state.location, state.state, state.since, state.is_held, state.is_muted,
               hardware.memory_bytes, hardware.cpu_threads, hardware.disk_bytes${sql.join(values)}
          from (${sql.raw(selectMachineStates(stateSources))}) as state
          left join ${hardwareReport} as hardware on hardware.machine_id = state.machine_id${sql.join(joins)}
        offset 0
      ) as machine
     group by ${list([sql`provider`, sql`location`, sql`state`, ...labels])}
     ${labelKeys.length === 0 ? sql`` : sql`limit ${maxGroups + 1}`}`;
}

/** Selects the machines that are held or muted, each once. */
const selectKept = `
  select machine_id, bool_or(is_held) as is_held, bool_or(is_muted) as is_muted
    from (
      select machine_id, true as is_held, false as is_muted from machine_hold hold where ${isHolding("hold")}
      union all
      select machine_id, false, true from machine_muted
    ) kept
   group by machine_id`;

/**
 * The open installations together with the machines that are held or muted. Both are few, and a join of all machines
 * costs a tenth of the count, however little it finds: so they are joined with one another first.
 */
const openOrKept = `(
  select coalesce(open.machine_id, kept.machine_id) as machine_id, open.generation, open.state, open.since,
         kept.is_held, kept.is_muted
    from (select * from installation_state where is_open) open
    full join (${selectKept}) kept on kept.machine_id = open.machine_id
  ) open on open.machine_id = machine.id`;

/**
 * What the states are computed from. Heartbeats are read in the order of the table and sorted: their rows are in no
 * index, and reading each of them by its machine's id takes twice as long. OFFSET keeps the planner from doing so.
 */
const stateSources = {
  open: openOrKept,
  heartbeat: "(select machine_id, quiet_until, alive_since from agent_heartbeat offset 0)",
  more: ", open.is_held, open.is_muted",
};

/** Counts what `selectOverdueSince` selects, without a subquery for each machine. */
function countOverdue(limits: StateLimitRows): SQL {
  const states = Object.entries(limits);
  if (states.length === 0) return sql`0`;
  const tests = states.map(
    ([state, seconds]) => sql`when ${state} then ${sql.raw(isPastLimit("since", String(seconds)))}`,
  );
  return sql`count(*) filter (where is_held is not true and is_muted is not true
           and case state ${sql.join(tests, sql` `)} else false end)`;
}

type GroupRow = {
  readonly provider: string | null;
  readonly location: string | null;
  readonly state: FleetGroup["state"];
  readonly values: readonly (string | null)[];
  readonly oldest: string;
  readonly since_seconds: number;
  readonly younger: readonly string[];
} & Readonly<Record<"machines" | "held" | "muted" | "memory" | "threads" | "disks" | "overdue", string>>;

function toGroup(row: GroupRow, labelKeys: readonly string[], countedAt: Date): FleetGroup {
  const labels = labelKeys.flatMap((key, index) => (row.values[index] == null ? [] : [[key, row.values[index]]]));
  // Infinite for a machine with such a time.
  const seconds = Number(row.machines) * (countedAt.getTime() / 1000) - row.since_seconds;
  return {
    provider: row.provider,
    location: row.location,
    state: row.state,
    labels: Object.fromEntries(labels),
    machines: BigInt(row.machines),
    heldMachines: BigInt(row.held),
    mutedMachines: BigInt(row.muted),
    memoryBytes: BigInt(row.memory),
    cpuThreads: BigInt(row.threads),
    diskBytes: BigInt(row.disks),
    stateOverdueMachines: BigInt(row.overdue),
    oldestStateTime: parseDatabaseTime(row.oldest),
    stateSeconds: Number.isFinite(seconds) ? Math.max(0, seconds) : 0,
    youngerMachines: row.younger.map(BigInt),
  };
}
