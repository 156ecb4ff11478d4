/** Registers a simulated fleet with a server: through the operators' API, or by a seed file. */
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import type { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { SimulatedIdentity } from "./fleet-identities.ts";

/** Provider of simulated machines, by which an operator can find and delete them. */
const simulatedProvider = "simulation";

/** Options of `registerFleet`. */
export interface RegistrationOptions {
  readonly identities: readonly SimulatedIdentity[];
  readonly machines: Client<typeof MachineService>;
  readonly agents: Client<typeof AgentService>;
  /** Maximum number of concurrent calls. */
  readonly concurrency: number;
  readonly onProgress?: ((registered: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/**
 * Creates every machine that does not exist and registers its agent's key. A second run changes nothing. Throws the
 * first error.
 */
export async function registerFleet(options: RegistrationOptions): Promise<void> {
  const { identities, concurrency, onProgress, signal } = options;
  const pending = identities.values();
  let registered = 0;
  const work = async () => {
    for (const identity of pending) {
      signal.throwIfAborted();
      await registerOne(options, identity);
      registered += 1;
      onProgress?.(registered);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

async function registerOne(
  { machines, agents, signal }: RegistrationOptions,
  identity: SimulatedIdentity,
): Promise<void> {
  const { machineId, publicKey } = identity;
  const provided = { provider: simulatedProvider, providerId: machineId };
  try {
    await machines.createMachine({ machineId, provided }, { signal });
  } catch (error) {
    if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
  }
  await agents.registerAgent({ machineId, publicKey }, { signal });
}

/** Returns the fleet as a seed file in JSON. */
export function formatFleetSeed(identities: readonly SimulatedIdentity[]): string {
  const machines = identities.map(({ machineId, publicKey }) => ({
    id: machineId,
    provided: { provider: simulatedProvider, providerId: machineId },
    agent: { publicKey: Buffer.from(publicKey).toString("hex") },
  }));
  return `${JSON.stringify({ machines })}\n`;
}
