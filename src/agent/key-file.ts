/**
 * Reads and writes files with an agent's private key. Reads all usual formats, never overwrites a file, and writes it
 * for the owner only, completely or not at all.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { createFile } from "../base/atomic-file.ts";
import { OperatorError } from "../base/operator-error.ts";
import { findExposure } from "../base/secret-file.ts";
import { assertSecret, InvalidPublicKeyError } from "../contract/public-key.ts";
import { type AgentKey, createAgentKey, seedBytes } from "./agent-key.ts";

/** Says why a key file cannot be used, and what to do. Never contains the file's content. */
export class AgentKeyFileError extends OperatorError {
  override readonly name: string = "AgentKeyFileError";
}

/** A key file exists, perhaps since another process has just created it, so no other key was written to it. */
export class AgentKeyExistsError extends AgentKeyFileError {
  override readonly name = "AgentKeyExistsError";
}

/** A loaded key, with warnings of one sentence each about things that are allowed but unwise. */
export interface LoadedAgentKey {
  readonly key: AgentKey;
  readonly warnings: readonly string[];
}

const maxKeyFileBytes = 16 * 1024;

/**
 * Loads a key from PKCS#8 in PEM (RFC 8410), or from its 32-byte seed as 64 hexadecimal digits, base64 or raw bytes.
 * Throws AgentKeyFileError.
 */
export async function loadAgentKey(file: string): Promise<LoadedAgentKey> {
  const { content, mode } = await readKeyFile(file);
  const seed = parseSeed(content, file);
  if (typeof seed === "string") throw new AgentKeyFileError(`${file}: ${seed}`);
  const warnings = findExposure({ file, mode, what: "a private key", allowsGroup: false });
  return { key: assertOwn(file, await createAgentKey(seed)), warnings };
}

function assertOwn(file: string, key: AgentKey): AgentKey {
  try {
    assertSecret(key.publicKey);
    return key;
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    throw new AgentKeyFileError(`${file}: ${error.message}`);
  }
}

/**
 * Writes a key as PEM that only its owner can read. The key is on disk when this resolves; a power cut before leaves no
 * file. Throws AgentKeyFileError, or AgentKeyExistsError if the file exists: a key is never overwritten.
 */
export async function saveAgentKey(file: string, key: AgentKey): Promise<void> {
  try {
    await createFile(file, key.exportPem(), 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new AgentKeyFileError(`${file}: there is no such folder`);
    if (code !== "EEXIST") throw new AgentKeyFileError(describeFailure(file, error));
    if (existsSync(file)) throw new AgentKeyExistsError(describeFailure(file, error));
    throw new AgentKeyFileError(`${file} is a link to a file that does not exist: name that file, or remove the link`);
  }
}

async function readKeyFile(file: string): Promise<{ content: Buffer; mode: number }> {
  try {
    const handle = await open(file, "r");
    try {
      const buffer = Buffer.alloc(maxKeyFileBytes);
      const { bytesRead } = await handle.read(buffer);
      return { content: buffer.subarray(0, bytesRead), mode: (await handle.stat()).mode };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new AgentKeyFileError(describeFailure(file, error));
  }
}

/** Returns the seed, or the reason why there is none. */
function parseSeed(content: Buffer, file: string): Buffer | string {
  const text = content.toString("latin1").trim();
  // Written alike, a seed and a public key look the same.
  if (file.endsWith(".pub") && !text.includes("-----BEGIN")) {
    return "by its name, this is a public key; the agent needs the private one";
  }
  const damage = findDamage(content, text);
  if (damage !== undefined) return damage;
  if (content.length === seedBytes) return content;
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Buffer.from(text, "base64");
  if (text.includes("-----BEGIN")) return parsePem(text);
  return "not a private key: expected PEM, 64 hexadecimal digits, base64 or 32 bytes (create one with: bmaas agent keygen)";
}

/** First and last line of a key that this module writes. */
const [pemBegin, pemEnd] = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"];

/** Returns what a power cut has left of a key, and what to do, if there is too little of it to be one. */
function findDamage(content: Buffer, text: string): string | undefined {
  const remedy =
    "restore it from a copy, or delete it, make a new key (bmaas agent keygen; " +
    "an agent without --machine-id makes one itself) and let the server know that one";
  const cause = "as after a power cut while it was written";
  if (text === "") return `the file is empty, ${cause}, so there is no key in it: ${remedy}`;
  if (content.every((byte) => byte === 0)) return `the file holds nothing but zeros, ${cause}: ${remedy}`;
  const isCut = pemBegin.startsWith(text) || (text.startsWith(pemBegin) && !text.includes(pemEnd));
  return isCut ? `the key in it is cut off, ${cause}: ${remedy}` : undefined;
}

function parsePem(text: string): Buffer | string {
  if (text.includes("BEGIN PUBLIC KEY")) return "this is a public key; the agent needs the private one";
  if (text.includes("BEGIN OPENSSH"))
    return "OpenSSH's own format is not supported; create a key with: bmaas agent keygen";
  if (text.includes("ENCRYPTED"))
    return "the key is encrypted; an agent starts unattended and needs it without a passphrase";
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    return "the PEM in it is not a private key";
  }
  if (key.asymmetricKeyType !== "ed25519") return `an ${key.asymmetricKeyType} key; agents need Ed25519 keys`;
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}

function describeFailure(file: string, error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return `${file}: no such file (make a key by: bmaas agent keygen --out ${file})`;
    case "EEXIST":
      return `${file} exists already, and a key is never overwritten: name another file, or move it away`;
    case "EACCES":
    case "EPERM":
      return `${file}: permission denied`;
    case "EISDIR":
      return `${file} is a folder`;
    default:
      return `${file}: ${(error as Error).message}`;
  }
}
