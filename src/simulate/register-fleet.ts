/** Makes a simulated fleet known to a server: through the operators' API, or by a seed file. */
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import type { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { SimulatedIdentity } from "./fleet-identities.ts";

/** The provider of simulated machines, to find and delete them by. */
const simulatedProvider = "simulation";

/** What a registration takes. */
export interface RegistrationOptions {
  readonly identities: readonly SimulatedIdentity[];
  readonly machines: Client<typeof MachineService>;
  readonly agents: Client<typeof AgentService>;
  /** Calls under way at once. */
  readonly concurrency: number;
  readonly onProgress?: ((registered: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/** Creates every machine that is not there and registers its agent's key; a second run changes nothing. Throws the first error. */
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

/** The fleet as a seed file, in JSON. */
export function formatFleetSeed(identities: readonly SimulatedIdentity[]): string {
  const machines = identities.map(({ machineId, publicKey }) => ({
    id: machineId,
    provided: { provider: simulatedProvider, providerId: machineId },
    agent: { publicKey: Buffer.from(publicKey).toString("hex") },
  }));
  return `${JSON.stringify({ machines })}\n`;
}
