/** Registers a simulated fleet with a server: through the operators' API, or by a seed file. */
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { BatchMode } from "../../gen/bmaas/admin/v1/batch_pb.js";
import type { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { SimulatedIdentity } from "./fleet-identities.ts";

/** Provider of simulated machines, by which an operator can find and delete them. */
const simulatedProvider = "simulation";

/** Maximum number of requests in a batch of the operators' API. */
const batchSize = 1000;

/** Options of `registerFleet`. */
export interface RegistrationOptions {
  readonly identities: readonly SimulatedIdentity[];
  readonly machines: Client<typeof MachineService>;
  readonly agents: Client<typeof AgentService>;
  /** Maximum number of concurrent batches. */
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
  const starts = Array.from({ length: Math.ceil(identities.length / batchSize) }, (_, index) => index * batchSize);
  const pending = starts.values();
  let registered = 0;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const work = async () => {
    try {
      for (const start of pending) {
        either.throwIfAborted();
        const batch = identities.slice(start, start + batchSize);
        await registerBatch({ ...options, signal: either }, batch);
        registered += batch.length;
        onProgress?.(registered);
      }
    } catch (error) {
      // The others end as well, so that nothing goes on after the error.
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
}

async function registerBatch(
  { machines, agents, signal }: RegistrationOptions,
  batch: readonly SimulatedIdentity[],
): Promise<void> {
  const { failedRequests } = await machines.batchCreateMachines(
    {
      requests: batch.map(({ machineId }) => ({
        machineId,
        provided: { provider: simulatedProvider, providerId: machineId },
      })),
      mode: BatchMode.PARTIAL_SUCCESS,
      omitMachines: true,
    },
    { signal },
  );
  for (const { code, message } of Object.values(failedRequests)) {
    if (code !== Code.AlreadyExists) throw new ConnectError(message, code);
  }
  const requests = batch.map(({ machineId, publicKey }) => ({ machineId, publicKey }));
  await agents.batchRegisterAgents({ requests, omitMachines: true }, { signal });
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
