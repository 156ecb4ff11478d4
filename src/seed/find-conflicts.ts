/** Finds everything in a staged file that conflicts with the database, apart from its installations. */
import { assertPublicKey, InvalidPublicKeyError } from "../contract/public-key.ts";
import type { Transaction } from "../db/client.ts";
import { TooManyLabelsError } from "../db/queries/machine-label.ts";
import { findKeyHolders, findProviderIdHolders, findTooManyLabels, listNewKeys } from "../db/queries/seed/conflicts.ts";
import type { Conflict } from "./check-installs.ts";

/** Returns what conflicts with the database, at most about `limit` of each kind. */
export async function findConflicts(tx: Transaction, limit: number): Promise<Conflict[]> {
  const providerIds = await findProviderIdHolders(tx, limit);
  const keys = await findKeyHolders(tx, limit);
  const labels = await findTooManyLabels(tx, limit);
  return [
    ...providerIds.map(({ index, holderId }) => ({
      ...{ index, path: ["provided", "providerId"] },
      message: explainProviderIdInUse(holderId),
    })),
    ...keys.map(({ index, holderId }) => ({ index, path: ["agent", "publicKey"], message: explainKeyInUse(holderId) })),
    ...labels.map(({ index, machineId, count }) => ({
      ...{ index, path: ["labels"] },
      message: new TooManyLabelsError(machineId, count).message,
    })),
    ...(await findInvalidKeys(tx, limit)),
  ];
}

/**
 * Returns the keys that are no points of Ed25519. Only keys that no agent has are checked, since a stored key was
 * checked before.
 */
async function findInvalidKeys(tx: Transaction, limit: number): Promise<Conflict[]> {
  const conflicts: Conflict[] = [];
  for await (const keys of listNewKeys(tx)) {
    if (conflicts.length >= limit) continue;
    for (const { index, publicKey } of keys) {
      try {
        assertPublicKey(publicKey);
      } catch (error) {
        if (!(error instanceof InvalidPublicKeyError)) throw error;
        conflicts.push({ index, path: ["agent", "publicKey"], message: error.message });
      }
    }
  }
  return conflicts;
}

/** Returns the message about a provider's id that another machine has. */
export function explainProviderIdInUse(holderId: string): string {
  return `is already the provider id of machine ${holderId}; correct it, or give that machine another one in the same file`;
}

/** Returns the message about a key that another machine's agent has. */
export function explainKeyInUse(holderId: string): string {
  return `is already the key of machine ${holderId}; correct it, or give that machine another one in the same file`;
}
