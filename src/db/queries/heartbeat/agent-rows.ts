/**
 * SQL that keeps the input rows which carry their machine's registered key, shared by the statements in this folder.
 *
 * It looks rows up machine by machine (`cross join lateral … limit 1`), by the unique index on the machine's id, so
 * that PostgreSQL cannot join whole tables instead, however outdated its statistics are.
 */
import type pg from "pg";
import { defineColumns, type InputColumn, toBuffer } from "./input-columns.ts";

/** A machine and the public key whose private key the caller proved to hold. */
export interface AgentRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Columns that the fragments in this file read. */
export const agentColumns: Readonly<Record<"machine_id" | "public_key", InputColumn<AgentRow>>> = {
  machine_id: ["uuid", (row) => row.machineId],
  public_key: ["bytea", (row) => toBuffer(row.publicKey)],
};

/** Joins `input` with `agent`: keeps the rows whose key is the machine's registered key. */
export const joinAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1
    ) agent`;

/**
 * Does the same as `joinAgent`, and locks each agent_started row until the transaction ends. The input must be in the
 * order of machine ids.
 */
export const holdAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1 for no key update
    ) agent`;

/**
 * Does the same as `joinAgent`, but keeps only rows whose heartbeat this transaction has counted. Adds the boot id of
 * agent_heartbeat as known_boot_id.
 */
export const joinCounted = `${joinAgent}
    cross join lateral (
      select boot_id as known_boot_id from agent_heartbeat heartbeat
       where heartbeat.machine_id = input.machine_id and heartbeat.xmin = (select pg_current_xact_id_if_assigned()::xid) limit 1
    ) heartbeat`;

const heldColumns = defineColumns<AgentRow>(agentColumns);

const holdText = `
select from (
  select * from unnest(${heldColumns.parameters}) as input (${heldColumns.names}) order by machine_id
) input ${holdAgent}`;

/** Locks the agents' agent_started rows in the order of machine ids. */
export function holdAgents(rows: readonly AgentRow[]): pg.QueryConfig {
  return { name: "hold-agents", text: holdText, values: heldColumns.toValues(rows) };
}
