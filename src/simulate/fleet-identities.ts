/**
 * Derives the machines of a simulated fleet and their keys from one secret, so that a second run has the same fleet.
 */
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

/** One machine and the key of its agent. */
export interface SimulatedIdentity {
  /** Lower-case UUID. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
  /** Returns the 64 bytes of an Ed25519 signature (RFC 8032 section 5.1.6). */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** Prefix of a PKCS#8 Ed25519 private key; the seed follows (RFC 8410 section 7). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** Creates the identity of the machine at `index` of a fleet. `secret`, 32 random bytes, identifies the fleet. */
export function createSimulatedIdentity(secret: Uint8Array, index: number): SimulatedIdentity {
  const der = Buffer.concat([pkcs8Prefix, derive(secret, `key ${index}`)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return {
    machineId: toUuid(derive(secret, `machine ${index}`)),
    publicKey: spki.subarray(-32),
    privateKey,
    sign: async (message) => sign(null, message, privateKey),
  };
}

function derive(secret: Uint8Array, name: string): Buffer {
  return createHmac("sha256", secret).update(name).digest();
}

/** Returns a UUID of version 8, whose bits are free to choose (RFC 9562 section 5.8). */
function toUuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex", 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
