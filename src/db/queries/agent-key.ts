/** One machine's agent: its key is registered, replaced and revoked under the conditions that operators state. */
import { eq, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { machine } from "../schema/index.ts";
import { type AgentKey, findPublicKeys, registerAgents, removeAgents } from "./agent-started.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** The key that the machine's agent has, or the lack of one, does not allow the change. */
export class AgentRefusedError extends Error {
  override readonly name = "AgentRefusedError";
  /** What stands in the way, for programs: they read it in google.rpc.PreconditionFailure. */
  readonly obstacle: "AGENT_REGISTERED" | "AGENT_NOT_REGISTERED" | "PUBLIC_KEY_NOT_EXPECTED";
  readonly machineId: string;
  /** `reason` follows "machine …". */
  constructor(obstacle: AgentRefusedError["obstacle"], machineId: string, reason: string) {
    super(`machine ${machineId} ${reason}`);
    this.obstacle = obstacle;
    this.machineId = machineId;
  }
}

/** What the key must be before the change; any when it is empty. */
interface Expectation {
  readonly expectedPublicKey: Uint8Array;
}

/**
 * Gives a machine without an agent its agent's key; the key that it has already is left alone. Throws MachineNotFoundError,
 * AgentRefusedError when it has another one, and PublicKeyInUseError when another machine has this one.
 */
export async function registerAgent(tx: Transaction, agent: AgentKey, actor: string): Promise<void> {
  const { machineId } = agent;
  const current = await holdPublicKey(tx, machineId);
  if (current !== undefined && current !== toHex(agent.publicKey)) {
    throw new AgentRefusedError("AGENT_REGISTERED", machineId, `has another agent's key, ${current}: replace that one`);
  }
  await registerAgents(tx, [agent], actor);
}

/**
 * Puts a new key in the place of the machine's. Throws MachineNotFoundError, AgentRefusedError when it has none or not the expected
 * one, and PublicKeyInUseError when another machine has the new one.
 */
export async function replaceAgent(tx: Transaction, agent: AgentKey & Expectation, actor: string): Promise<void> {
  await holdExpectedKey(tx, agent);
  await registerAgents(tx, [agent], actor);
}

/** Takes the machine's key away. Throws MachineNotFoundError, and AgentRefusedError when it has none or not the expected one. */
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
