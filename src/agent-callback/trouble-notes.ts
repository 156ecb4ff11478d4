/**
 * Notes in the database what is wrong with agents' calls, for lists of issues. Calls do not wait for the notes, and the
 * notes are limited, so that strangers cannot make the server write at will.
 */
import type { Logger } from "pino";
import { InvalidMachineIdError, parseAgentMachineId } from "../contract/machine-id.ts";
import type { Database } from "../db/client.ts";
import { noteRefusedKey, noteUndecodableRequest } from "../db/queries/agent-trouble.ts";
import { type AttemptRule, createAttemptLimit } from "../rpc/callers/attempt-limit.ts";
import type { IdentityRefusal, LogRefusal } from "./identity/agent-identity.ts";

/** Limit on the notes of this process for one machine. The database limits those of all processes together. */
const perMachine: AttemptRule = { burst: 1, secondsPerAttempt: 300, maxParties: 10_000 };
/** Limit on all notes of this process: five a second. */
const inAll: AttemptRule = { burst: 20, secondsPerAttempt: 0.2, maxParties: 1 };

/** Refusals that show a wrong key, and not a wrong clock or a repeated call. */
const wrongKey: readonly IdentityRefusal[] = ["unknown_identity", "signature"];

/** Notes of trouble; neither throws nor waits. */
export interface TroubleNotes {
  readonly keyRefused: LogRefusal;
  requestUndecodable(request: { readonly machineId: string; readonly generation: bigint }): void;
}

/** Creates notes in `db`. What cannot be noted is logged at debug. */
export function createTroubleNotes(db: Database, log: Logger): TroubleNotes {
  const refusals = createAttemptLimit(perMachine);
  const requests = createAttemptLimit(perMachine);
  const all = createAttemptLimit(inAll);

  function note(limit: typeof refusals, machineId: string, write: () => Promise<void>): void {
    if (limit.look(machineId) !== undefined || all.take("all") !== undefined) return;
    limit.take(machineId);
    write().catch((error) => log.debug({ machineId, err: error }, "could not note trouble with an agent's call"));
  }

  return {
    keyRefused: ({ refusal, machineId: claimed, publicKey }, address) => {
      const machineId = wrongKey.includes(refusal) && claimed !== undefined ? findMachineId(claimed) : undefined;
      if (machineId === undefined) return;
      note(refusals, machineId, () => noteRefusedKey(db, { machineId, publicKey, address }));
    },
    requestUndecodable: (request) => note(requests, request.machineId, () => noteUndecodableRequest(db, request)),
  };
}

function findMachineId(claimed: string): string | undefined {
  try {
    return parseAgentMachineId(claimed);
  } catch (error) {
    if (error instanceof InvalidMachineIdError) return undefined;
    throw error;
  }
}
