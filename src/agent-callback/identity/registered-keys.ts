/**
 * Provides registered keys for verifying signatures. They are read from the database for many machines at once, and
 * remembered after they have verified a signature.
 *
 * A remembered key may be outdated, which does no harm. The statement that writes a heartbeat compares the proven key
 * with the machine's current one, so a replaced or revoked key no longer counts. A signature that a remembered key does
 * not verify has the key read again.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { LRUCache } from "lru-cache";
import { UrgentFirst } from "../queues/urgent-first.ts";

/** A machine's key, as bytes and for OpenSSL. */
export interface RegisteredKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly keyObject: KeyObject;
}

/** Returns the keys by machine, 32 bytes each. Machines without a key are absent. */
export type ReadPublicKeys = (machineIds: readonly string[]) => Promise<ReadonlyMap<string, Uint8Array>>;

/** Registered keys by machine. */
export interface RegisteredKeys {
  /** Returns the remembered key, which may have been replaced since. */
  recall(machineId: string): RegisteredKey | undefined;
  /** Reads the machine's current key, urgent ones first. Rejects with the database's error. */
  read(machineId: string, isUrgent: boolean): Promise<RegisteredKey | undefined>;
  /** Remembers a key that has verified a signature of the machine. */
  remember(machineId: string, key: RegisteredKey): void;
}

/**
 * Maximum number of remembered keys, of about 1.2 KB each. Creating OpenSSL's form of a key costs a third of a
 * verification, and reading the key a query.
 */
const maxRemembered = 100_000;
/** Maximum number of machines in one query. */
const maxMachines = 200;

interface Waiting {
  readonly machineId: string;
  resolve(key: RegisteredKey | undefined): void;
  reject(error: unknown): void;
}

/** Creates the keys, none of them remembered. */
export function createRegisteredKeys(readPublicKeys: ReadPublicKeys): RegisteredKeys {
  const remembered = new LRUCache<string, RegisteredKey>({ max: maxRemembered });
  const waiting = new UrgentFirst<Waiting>();
  let isReading = false;

  /** Reads the waiting keys. Those that are requested while a query is under way share the next one. */
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

/** Settles the whole batch. Never rejects. */
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

/** Returns a key in OpenSSL's form. It is passed as a JWK (RFC 8037), which is parsed faster than DER. */
export function toKeyObject(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}
