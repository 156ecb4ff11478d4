/**
 * The tag AgentStarted, set by operators who hold the machine.
 *
 * Rows are taken in machine-id order and before any of agent_heartbeat, as heartbeats take them, so that neither waits for the
 * other in a circle.
 */
import { asc, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import { agentHeartbeat, agentStarted } from "../schema/index.ts";
import type { WriteOutcome } from "../write-outcome.ts";
import { arrayParameter } from "./array-parameter.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";

/** A machine and the key its agent proves. */
export interface AgentKey {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes, a key that `assertPublicKey` accepts. */
  readonly publicKey: Uint8Array;
}

/** The key belongs to another machine's agent. */
export class PublicKeyInUseError extends Error {
  override readonly name = "PublicKeyInUseError";
  /** The machine that was to get the key. */
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
 * Gives every machine given its agent's key, no machine twice, and returns what that did to each: an old key stops at once, and
 * the new one's signatures may count from any nonce. Keys may move between the machines given. Throws MachineNotFoundError, and
 * PublicKeyInUseError for a key that any other machine has.
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

/** Returns whoever has one of the keys, in no order. */
export function findAgentsByPublicKey(tx: Transaction, publicKeys: readonly Uint8Array[]): Promise<AgentKey[]> {
  return tx
    .select({ machineId: agentStarted.machineId, publicKey: agentStarted.publicKey })
    .from(agentStarted)
    .where(sql`${agentStarted.publicKey} = any(${arrayParameter(publicKeys, "bytea")})`);
}

/** The keys in hexadecimal digits, by machine; they stay while the transaction holds the machines. */
export async function findPublicKeys(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx
    .select({ machineId: agentStarted.machineId, publicKey: agentStarted.publicKey })
    .from(agentStarted)
    .where(sql`${agentStarted.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  return new Map(rows.map((row) => [row.machineId, toHex(row.publicKey)]));
}

/**
 * Takes the keys of machines away that the transaction holds. Heartbeats in flight commit first, and none follows; what they said
 * goes with their key, since it says nothing of the next one's agent.
 */
export async function removeAgents(tx: Transaction, machineIds: readonly string[]): Promise<void> {
  await holdAgents(tx, machineIds);
  const ids = arrayParameter(machineIds, "uuid");
  await tx.delete(agentStarted).where(sql`${agentStarted.machineId} = any(${ids})`);
  await tx.delete(agentHeartbeat).where(sql`${agentHeartbeat.machineId} = any(${ids})`);
}

/** Waits for the machines' heartbeats in flight and makes those that follow wait, in machine-id order as heartbeats go. */
export async function holdAgents(tx: Transaction, machineIds: readonly string[]): Promise<void> {
  await tx
    .select({ id: agentStarted.machineId })
    .from(agentStarted)
    .where(sql`${agentStarted.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .orderBy(asc(agentStarted.machineId))
    .for("update");
}

/** Takes all old rows away before it adds the first new one, so that keys can change places under their unique index. */
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
