/** An agent's Ed25519 key. Runs in Node and in browsers. */
import { getPublicKeyAsync, signAsync, utils } from "@noble/ed25519";

/** Length of the seed that is an Ed25519 private key, in bytes (RFC 8032 section 5.1.5). */
export const seedBytes = 32;

/** Beginning of an Ed25519 key in PKCS#8, before the seed (RFC 8410 section 7). */
const pkcs8Prefix = Uint8Array.from([0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32]);

/** A signing key. Its private half is not in an enumerable property, so that neither a log nor JSON can reveal it. */
export class AgentKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;

  /** Use `createAgentKey`, which computes the public key. */
  constructor(seed: Uint8Array, publicKey: Uint8Array) {
    this.#seed = Uint8Array.from(seed);
    this.publicKey = publicKey;
  }

  /** The public key as 64 hexadecimal digits in lower case, as in seed files and lists of machines. */
  get publicKeyHex(): string {
    return Array.from(this.publicKey, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Returns the 64 bytes of an Ed25519 signature (RFC 8032 section 5.1.6). */
  async sign(message: Uint8Array): Promise<Uint8Array> {
    return await signAsync(message, this.#seed);
  }

  /** Returns the private key, 32 bytes. Use it only to store the key. */
  exportSeed(): Uint8Array {
    return Uint8Array.from(this.#seed);
  }

  /** Returns the private key as PKCS#8 in PEM (RFC 8410), which OpenSSL also reads. */
  exportPem(): string {
    const base64 = btoa(String.fromCharCode(...pkcs8Prefix, ...this.#seed));
    return `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
  }
}

/** Creates the key of a seed of 32 bytes. Throws RangeError for any other length. */
export async function createAgentKey(seed: Uint8Array): Promise<AgentKey> {
  if (seed.length !== seedBytes) throw new RangeError(`an Ed25519 seed has ${seedBytes} bytes, not ${seed.length}`);
  return new AgentKey(seed, await getPublicKeyAsync(seed));
}

/** Creates a new key from the system's random numbers. */
export async function generateAgentKey(): Promise<AgentKey> {
  return await createAgentKey(utils.randomSecretKey());
}
