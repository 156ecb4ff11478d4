/**
 * SQL by which a statement's input rows prove that they speak for their machines, shared by the statements beside this file.
 *
 * Rows are looked up machine by machine (`cross join lateral … limit 1`), by the unique index on the machine's id: PostgreSQL
 * cannot join whole tables instead, however its statistics have aged.
 */
import { type InputColumn, toBuffer } from "./input-columns.ts";

/** A machine and the key whose private half its caller proved to hold. */
export interface AgentRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** The columns that the fragments here read. */
export const agentColumns: Readonly<Record<"machine_id" | "public_key", InputColumn<AgentRow>>> = {
  machine_id: ["uuid", (row) => row.machineId],
  public_key: ["bytea", (row) => toBuffer(row.publicKey)],
};

/** Joins `input` with `agent`: leaves the rows that hold their machine's key. */
export const joinAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1
    ) agent`;

/** As `joinAgent`, and locks each agent_started row until the transaction ends; the input is in the order of machine ids. */
export const holdAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1 for no key update
    ) agent`;

/** As `joinAgent`, of the rows whose heartbeat this transaction has counted; adds what agent_heartbeat said of the boot. */
export const joinCounted = `${joinAgent}
    cross join lateral (
      select boot_id as known_boot_id from agent_heartbeat heartbeat
       where heartbeat.machine_id = input.machine_id and heartbeat.xmin = (select pg_current_xact_id_if_assigned()::xid) limit 1
    ) heartbeat`;
