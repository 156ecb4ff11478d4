/**
 * The keys that operators registered, as signatures are verified with them: read from the database, many machines' at once, and
 * remembered once they have proven somebody.
 *
 * What is remembered may be out of date, and that does no harm: the statement that writes a heartbeat holds the machine's key
 * against the one that was proven, so a key that was replaced or revoked counts nowhere from then on, and a signature that a
 * remembered key does not explain has the key read anew.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { LRUCache } from "lru-cache";
import { UrgentFirst } from "../queues/urgent-first.ts";

/** A machine's key, in both forms that are asked for. */
export interface RegisteredKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly keyObject: KeyObject;
}

/** Returns the keys, of 32 bytes each, of those of the machines that have one. */
export type ReadPublicKeys = (machineIds: readonly string[]) => Promise<ReadonlyMap<string, Uint8Array>>;

/** Keys by machine. */
export interface RegisteredKeys {
  /** The key that proved the machine last, which may have been replaced since. */
  recall(machineId: string): RegisteredKey | undefined;
  /** The machine's key now, of urgent machines first; rejects as the database does. */
  read(machineId: string, isUrgent: boolean): Promise<RegisteredKey | undefined>;
  /** Keeps a key that has proven the machine. */
  remember(machineId: string, key: RegisteredKey): void;
}

/** About 1.2 KB each: making OpenSSL's form of a key costs a third of a verification, and reading it a query besides. */
const maxRemembered = 100_000;
/** Machines in one query. */
const maxMachines = 200;

interface Waiting {
  readonly machineId: string;
  resolve(key: RegisteredKey | undefined): void;
  reject(error: unknown): void;
}

/** Remembers nothing yet. */
export function createRegisteredKeys(readPublicKeys: ReadPublicKeys): RegisteredKeys {
  const remembered = new LRUCache<string, RegisteredKey>({ max: maxRemembered });
  const waiting = new UrgentFirst<Waiting>();
  let isReading = false;

  /** Those who come while a query is under way share the next one. */
  async function readWaiting(): Promise<void> {
    isReading = true;
    while (waiting.length > 0) {
      const batch: Waiting[] = [];
      for (
        let next = waiting.take();
        next !== undefined;
        next = batch.length < maxMachines ? waiting.take() : undefined
      ) {
        batch.push(next);
      }
      await readBatch(readPublicKeys, batch);
    }
    isReading = false;
  }

  return {
    recall: (machineId) => remembered.get(machineId),
    read: (machineId, isUrgent) =>
      new Promise((resolve, reject) => {
        waiting.add({ machineId, resolve, reject }, isUrgent);
        if (!isReading) void readWaiting();
      }),
    remember: (machineId, key) => void remembered.set(machineId, key),
  };
}

/** Settles all of the batch; never rejects. */
async function readBatch(readPublicKeys: ReadPublicKeys, batch: readonly Waiting[]): Promise<void> {
  try {
    const keys = await readPublicKeys(batch.map(({ machineId }) => machineId));
    for (const { machineId, resolve } of batch) {
      const publicKey = keys.get(machineId);
      resolve(publicKey && { publicKey, keyObject: toKeyObject(publicKey) });
    }
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}

/** A key as OpenSSL takes it; as a JWK (RFC 8037), which it reads faster than DER. */
export function toKeyObject(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}
