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
import { Candidates, type Refuse, refuseAll, refuseTaken } from "./candidates.ts";
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
 * at once, and signatures by the new one may start from any nonce. Keys may move between the given machines. Refuses
 * machines with MachineNotFoundError, and with PublicKeyInUseError for a key that any other machine has.
 */
export async function registerAgents(
  tx: Transaction,
  agents: readonly AgentKey[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, WriteOutcome>> {
  const candidates = new Candidates(agents, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  await refuseTakenKeys(tx, candidates);
  const stored = await findPublicKeys(tx, candidates.machineIds);
  const outcomes = new Map<string, WriteOutcome>();
  const replacements: AgentKey[] = [];
  const history: HistoryEntry[] = [];
  for (const agent of candidates) {
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
  await tx.execute(
    sql`update ${hardwareFacts} set facts = facts - '{serial,digest}'::text[] where machine_id = any(${ids})`,
  );
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

async function refuseTakenKeys(tx: Transaction, candidates: Candidates<AgentKey>): Promise<void> {
  const holders = await findAgentsByPublicKey(
    tx,
    Array.from(candidates, ({ publicKey }) => publicKey),
  );
  refuseTaken(
    candidates,
    new Map(holders.map(({ publicKey, machineId }) => [toHex(publicKey), machineId])),
    ({ publicKey }) => toHex(publicKey),
    (agent, holderId) => new PublicKeyInUseError(agent, holderId),
  );
}

/**
 * Deletes all old rows before it inserts the first new one, so that keys can change places under their unique index.
 * Inserts in the order of the keys, so that two transactions with the same keys cannot deadlock on that index.
 */
async function replaceRows(tx: Transaction, agents: readonly AgentKey[]): Promise<void> {
  if (agents.length === 0) return;
  await removeAgents(
    tx,
    agents.map((agent) => agent.machineId),
  );
  const sorted = agents.toSorted((a, b) => Buffer.compare(a.publicKey, b.publicKey));
  const machineIds = sorted.map((agent) => agent.machineId);
  const publicKeys = sorted.map((agent) => agent.publicKey);
  const { rows: added } = await tx.execute(sql`
    insert into ${agentStarted} (machine_id, public_key)
    select * from unnest(${arrayParameter(machineIds, "uuid")}, ${arrayParameter(publicKeys, "bytea")})
    on conflict do nothing
    returning machine_id`);
  if (added.length < agents.length) throw new ContentionError("another machine got one of the public keys meanwhile");
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
