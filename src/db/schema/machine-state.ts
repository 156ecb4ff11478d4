/**
 * The view that alone decides the state of a machine: one row for each. Lists, explanations, metrics and watchers all
 * read it.
 *
 * An open installation counts first, then the outcome of the last one, then the agent. Time enters by `now()`:
 * agent_heartbeat.quiet_until and os_installation_request.due_at, which heartbeats and deliveries set, decide silence.
 * Every join uses a unique index on the machine's id. So with a condition on machine_id the view reads one row of each
 * table, and without one it joins each whole table once.
 */
import { sql } from "drizzle-orm";
import { bigint, pgView, text, uuid } from "drizzle-orm/pg-core";
import { machineStateNames } from "../../contract/machine-states.ts";
import { timestamptz } from "./columns.ts";

/** What the query of the view may take from elsewhere. */
export interface StateSources {
  /**
   * What to join as `open`, with the condition of the join: rows with machine_id, generation, state and since of open
   * installations, at most one for each machine. In rows for other machines the last three are null.
   */
  readonly open: string;
  /** What to join as `heartbeat`: rows of agent_heartbeat with machine_id, quiet_until and alive_since. */
  readonly heartbeat: string;
  /** Further columns to select, each after a comma. */
  readonly more: string;
}

const viewSources: StateSources = {
  open: "installation_state open on open.machine_id = machine.id and open.is_open",
  heartbeat: "agent_heartbeat",
  more: "",
};

/**
 * Returns the query of the view. Other views contain it: if they named the view itself, PostgreSQL would not let a
 * migration replace it.
 */
export const selectMachineStates = ({ open, heartbeat, more }: StateSources = viewSources) => `
select machine.id as machine_id,
       case when open.state = 'pending' then 'installation_pending'
            when open.state = 'given' then 'installation_given'
            when open.state = 'installing' then 'installing'
            when open.state = 'overdue' then 'installation_overdue'
            when report.result = 'error' then 'installation_failed'
            when report.result = 'success' then 'installed'
            when agent.machine_id is null and provided.machine_id is null then 'not_provided'
            when agent.machine_id is null then 'no_agent'
            when heartbeat.machine_id is null then 'never_heartbeated'
            when heartbeat.quiet_until < now() then 'stale'
            else 'heartbeating' end as state,
       case when open.state is not null then open.since
            when report.result is not null then report.reported_at
            when agent.machine_id is null then greatest(
              machine.created_at, machine.agent_revoked_at, coalesce(provided.provided_at, machine.unprovided_at))
            when heartbeat.machine_id is null then agent.started_at
            when heartbeat.quiet_until < now() then heartbeat.quiet_until
            else heartbeat.alive_since end as since,
       open.generation as open_generation,
       provided.provider as provider,
       provided.location as location${more}
  from machine
  left join provided on provided.machine_id = machine.id
  left join agent_started agent on agent.machine_id = machine.id
  left join ${heartbeat} heartbeat on heartbeat.machine_id = machine.id
  left join os_installation_report report on report.machine_id = machine.id
  left join ${open}`;

export const machineState = pgView("machine_state", {
  machineId: uuid("machine_id").notNull(),
  state: text("state", { enum: machineStateNames }).notNull(),
  /** When the machine entered this state. */
  since: timestamptz("since").notNull(),
  /** Generation of the open installation; null if there is none. */
  openGeneration: bigint("open_generation", { mode: "bigint" }),
  /** Provider and location of the machine, so that a count by place needs no further join; null if unknown. */
  provider: text("provider"),
  location: text("location"),
}).as(sql.raw(selectMachineStates()));
