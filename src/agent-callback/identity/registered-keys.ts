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
import { createBatchedReads, type ReadMany } from "../queues/batched-reads.ts";

/** A machine's key, as bytes and for OpenSSL. */
export interface RegisteredKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly keyObject: KeyObject;
}

/** Returns the keys by machine, 32 bytes each. Machines without a key are absent. */
export type ReadPublicKeys = ReadMany<Uint8Array>;

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

/** Creates the keys, none of them remembered. */
export function createRegisteredKeys(readPublicKeys: ReadPublicKeys): RegisteredKeys {
  const remembered = new LRUCache<string, RegisteredKey>({ max: maxRemembered });
  const readPublicKey = createBatchedReads(readPublicKeys);
  return {
    recall: (machineId) => remembered.get(machineId),
    read: async (machineId, isUrgent) => {
      const publicKey = await readPublicKey(machineId, isUrgent);
      return publicKey && { publicKey, keyObject: toKeyObject(publicKey) };
    },
    remember: (machineId, key) => void remembered.set(machineId, key),
  };
}

/** Returns a key in OpenSSL's form. It is passed as a JWK (RFC 8037), which is parsed faster than DER. */
export function toKeyObject(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}
