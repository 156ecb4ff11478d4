/**
 * Queries on the tag AgentStarted, which operators set while they hold the machine.
 *
 * They lock rows in machine-id order, and before any row of agent_heartbeat. Heartbeats use the same order, so the two
 * cannot deadlock.
 */
import { and, asc, eq, isNull, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import {
  agentBoots,
  agentHeartbeat,
  agentPast,
  agentStarted,
  duplicateAgent,
  hardwareFacts,
  machineFinding,
  refusedKey,
} from "../schema/index.ts";
import type { WriteOutcome } from "../write-outcome.ts";
import { arrayParameter } from "./array-parameter.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";

/** A machine and the public key of its agent. */
export interface AgentKey {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes, a key that `assertPublicKey` accepts. */
  readonly publicKey: Uint8Array;
}

/** The key belongs to another machine's agent. */
export class PublicKeyInUseError extends Error {
  override readonly name = "PublicKeyInUseError";
  /** The machine that should get the key. */
  readonly machineId: string;
  /** The machine that has it. */
  readonly holderId: string;
  constructor(agent: AgentKey, holderId: string) {
    super(`public key ${toHex(agent.publicKey)} belongs to machine ${holderId}`);
    this.machineId = agent.machineId;
    this.holderId = holderId;
  }
}

/**
 * Registers or replaces the keys of the agents, no machine twice, and returns each machine's outcome. An old key stops
 * at once, and signatures by the new one may start from any nonce. Keys may move between the given machines. Throws
 * MachineNotFoundError, and PublicKeyInUseError for a key that any other machine has.
 */
export async function registerAgents(
  tx: Transaction,
  agents: readonly AgentKey[],
  actor: string,
): Promise<Map<string, WriteOutcome>> {
  const machineIds = agents.map((agent) => agent.machineId);
  await holdMachines(tx, machineIds);
  const stored = await findPublicKeys(tx, machineIds);
  const outcomes = new Map<string, WriteOutcome>();
  const replacements: AgentKey[] = [];
  const history: HistoryEntry[] = [];
  for (const agent of agents) {
    const publicKey = toHex(agent.publicKey);
    const previousPublicKey = stored.get(agent.machineId);
    const { machineId } = agent;
    if (previousPublicKey === publicKey) {
      outcomes.set(machineId, "unchanged");
      continue;
    }
    replacements.push(agent);
    if (previousPublicKey === undefined) {
      outcomes.set(machineId, "created");
      history.push({ machineId, actor, kind: "agent_registered", detail: { publicKey } });
    } else {
      outcomes.set(machineId, "changed");
      history.push({ machineId, actor, kind: "agent_replaced", detail: { publicKey, previousPublicKey } });
    }
  }
  await replaceRows(tx, replacements);
  await appendHistory(tx, history);
  return outcomes;
}

/** Returns the machines that have one of the keys, in no order. */
function findAgentsByPublicKey(tx: Transaction, publicKeys: readonly Uint8Array[]): Promise<AgentKey[]> {
  return tx
    .select({ machineId: agentStarted.machineId, publicKey: agentStarted.publicKey })
    .from(agentStarted)
    .where(sql`${agentStarted.publicKey} = any(${arrayParameter(publicKeys, "bytea")})`);
}

/** Returns the keys by machine, in hexadecimal digits. They do not change while the transaction holds the machines. */
export async function findPublicKeys(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx
    .select({ machineId: agentStarted.machineId, publicKey: agentStarted.publicKey })
    .from(agentStarted)
    .where(sql`${agentStarted.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  return new Map(rows.map((row) => [row.machineId, toHex(row.publicKey)]));
}

/**
 * Removes the keys of machines that the transaction holds. Heartbeats in flight commit first, and no later one is
 * accepted. Deletes what they stored as well, since it says nothing about the next key's agent.
 */
export async function removeAgents(tx: Transaction, machineIds: readonly string[]): Promise<void> {
  await holdAgents(tx, machineIds);
  const ids = arrayParameter(machineIds, "uuid");
  await tx.delete(agentStarted).where(sql`${agentStarted.machineId} = any(${ids})`);
  for (const said of [agentHeartbeat, agentBoots, agentPast, duplicateAgent, refusedKey]) {
    await tx.delete(said).where(sql`${said.machineId} = any(${ids})`);
  }
  // Another agent's serial number is no change under the same key.
  await tx.execute(sql`update ${hardwareFacts} set facts = facts - 'serial' where machine_id = any(${ids})`);
  await tx
    .delete(machineFinding)
    .where(sql`${machineFinding.machineId} = any(${ids}) and ${machineFinding.type} = 'serial_number_changed'`);
}

/**
 * Returns the machines whose agent has called but never shown that it supports more kinds of installations than Monogon
 * agents do. Leaves out machines whose agent has never called.
 */
export async function findUnawareAgents(tx: Transaction, machineIds: readonly string[]): Promise<Set<string>> {
  const { machineId, knowsAdditions, agentVersion, bootId } = agentHeartbeat;
  const rows = await tx
    .select({ machineId })
    .from(agentHeartbeat)
    .where(
      and(
        sql`${machineId} = any(${arrayParameter(machineIds, "uuid")})`,
        eq(knowsAdditions, false),
        // Servers of older versions store these, but do not set knows_additions.
        isNull(agentVersion),
        isNull(bootId),
      ),
    );
  return new Set(rows.map((row) => row.machineId));
}

/**
 * Locks the machines' agent_started rows in machine-id order, as heartbeats do: waits for heartbeats in flight, and
 * makes later ones wait.
 */
export async function holdAgents(tx: Transaction, machineIds: readonly string[]): Promise<void> {
  await tx
    .select({ id: agentStarted.machineId })
    .from(agentStarted)
    .where(sql`${agentStarted.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .orderBy(asc(agentStarted.machineId))
    .for("update");
}

/**
 * Deletes all old rows before it inserts the first new one, so that keys can change places under their unique index.
 */
async function replaceRows(tx: Transaction, agents: readonly AgentKey[]): Promise<void> {
  if (agents.length === 0) return;
  const machineIds = agents.map((agent) => agent.machineId);
  const publicKeys = agents.map((agent) => agent.publicKey);
  await removeAgents(tx, machineIds);
  const { rows: added } = await tx.execute<{ id: string }>(sql`
    insert into ${agentStarted} (machine_id, public_key)
    select * from unnest(${arrayParameter(machineIds, "uuid")}, ${arrayParameter(publicKeys, "bytea")})
    on conflict do nothing
    returning machine_id as id`);
  if (added.length < agents.length) await throwInUse(tx, agents, new Set(added.map((row) => row.id)));
}

async function throwInUse(tx: Transaction, agents: readonly AgentKey[], added: ReadonlySet<string>): Promise<never> {
  const refused = new Map<string, AgentKey>();
  for (const agent of agents) if (!added.has(agent.machineId)) refused.set(toHex(agent.publicKey), agent);
  const holders = await findAgentsByPublicKey(
    tx,
    Array.from(refused.values(), (agent) => agent.publicKey),
  );
  for (const holder of holders) {
    const agent = refused.get(toHex(holder.publicKey));
    if (agent !== undefined) throw new PublicKeyInUseError(agent, holder.machineId);
  }
  throw new ContentionError("a public key was in use and no longer is");
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
