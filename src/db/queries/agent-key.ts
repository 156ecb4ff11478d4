/** Registers, replaces and revokes the key of one machine's agent, under the conditions that operators state. */
import { eq, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { machine } from "../schema/index.ts";
import { type AgentKey, findPublicKeys, registerAgents, removeAgents } from "./agent-started.ts";
import { Candidates, type Refuse } from "./candidates.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** The change does not fit the key that the machine's agent has, or its lack of one. */
export class AgentRefusedError extends Error {
  override readonly name = "AgentRefusedError";
  /** Reason why the change is refused, for programs: they read it in google.rpc.PreconditionFailure. */
  readonly obstacle: "AGENT_REGISTERED" | "AGENT_NOT_REGISTERED" | "PUBLIC_KEY_NOT_EXPECTED";
  readonly machineId: string;
  /** `reason` completes the sentence "machine …". */
  constructor(obstacle: AgentRefusedError["obstacle"], machineId: string, reason: string) {
    super(`machine ${machineId} ${reason}`);
    this.obstacle = obstacle;
    this.machineId = machineId;
  }
}

/** The key that the agent must have before the change. Empty: any key. */
interface Expectation {
  readonly expectedPublicKey: Uint8Array;
}

/**
 * Registers the keys of the agents of machines that have none, no machine twice, and returns the ids of the machines
 * that have their key now; those that had it already stay as they are. Refuses machines with MachineNotFoundError, with
 * AgentRefusedError when the machine has another key, and with PublicKeyInUseError when another machine has this one.
 */
export async function registerNewAgents(
  tx: Transaction,
  agents: readonly AgentKey[],
  actor: string,
  refuse: Refuse,
): Promise<string[]> {
  const candidates = new Candidates(agents, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const stored = await findPublicKeys(tx, candidates.machineIds);
  for (const { machineId, publicKey } of candidates) {
    const current = stored.get(machineId);
    if (current === undefined || current === toHex(publicKey)) continue;
    const reason = `has another agent's key, ${current}: replace it instead`;
    candidates.refuse(machineId, new AgentRefusedError("AGENT_REGISTERED", machineId, reason));
  }
  const outcomes = await registerAgents(tx, [...candidates], actor, candidates.refuse);
  return [...outcomes.keys()];
}

/**
 * Replaces the key of the machine's agent. Throws MachineNotFoundError, AgentRefusedError when the machine has no key
 * or not the expected one, and PublicKeyInUseError when another machine has the new one.
 */
export async function replaceAgent(tx: Transaction, agent: AgentKey & Expectation, actor: string): Promise<void> {
  await holdExpectedKey(tx, agent);
  await registerAgents(tx, [agent], actor);
}

/**
 * Revokes the key of the machine's agent. Throws MachineNotFoundError, and AgentRefusedError when the machine has no
 * key or not the expected one.
 */
export async function revokeAgent(
  tx: Transaction,
  agent: Pick<AgentKey, "machineId"> & Expectation,
  actor: string,
): Promise<void> {
  const { machineId } = agent;
  const previousPublicKey = await holdExpectedKey(tx, agent);
  await removeAgents(tx, [machineId]);
  await tx.update(machine).set({ agentRevokedAt: sql`now()` }).where(eq(machine.id, machineId));
  await appendHistory(tx, [{ machineId, actor, kind: "agent_revoked", detail: { previousPublicKey } }]);
}

async function holdExpectedKey(
  tx: Transaction,
  { machineId, expectedPublicKey }: Pick<AgentKey, "machineId"> & Expectation,
): Promise<string> {
  const current = await holdPublicKey(tx, machineId);
  if (current === undefined) {
    throw new AgentRefusedError("AGENT_NOT_REGISTERED", machineId, "has no agent's key: register one");
  }
  if (expectedPublicKey.length > 0 && toHex(expectedPublicKey) !== current) {
    const reason = `has the agent's key ${current}, which is not the expected one`;
    throw new AgentRefusedError("PUBLIC_KEY_NOT_EXPECTED", machineId, reason);
  }
  return current;
}

/** Holds the machine, and returns its agent's key in hexadecimal digits. */
async function holdPublicKey(tx: Transaction, machineId: string): Promise<string | undefined> {
  await holdMachines(tx, [machineId]);
  return (await findPublicKeys(tx, [machineId])).get(machineId);
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
