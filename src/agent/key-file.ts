/**
 * Reads and writes files with an agent's private key. Reads all usual formats, never overwrites a file, and writes it
 * for the owner only.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import { OperatorError } from "../base/operator-error.ts";
import { findExposure } from "../base/secret-file.ts";
import { assertSecret, InvalidPublicKeyError } from "../contract/public-key.ts";
import { type AgentKey, createAgentKey, seedBytes } from "./agent-key.ts";

/** Says why a key file cannot be used, and what to do. Never contains the file's content. */
export class AgentKeyFileError extends OperatorError {
  override readonly name = "AgentKeyFileError";
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
 * Writes a key as PEM that only its owner can read. Throws AgentKeyFileError, also if the file exists: a key is never
 * overwritten.
 */
export async function saveAgentKey(file: string, key: AgentKey): Promise<void> {
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(key.exportPem());
      await handle.sync();
    } catch (error) {
      await unlink(file);
      throw error;
    } finally {
      await handle.close();
    }
  } catch (error) {
    const isFolderMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new AgentKeyFileError(isFolderMissing ? `${file}: there is no such folder` : describeFailure(file, error));
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
  if (content.length === seedBytes) return content;
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Buffer.from(text, "base64");
  if (text.includes("-----BEGIN")) return parsePem(text);
  return "not a private key: expected PEM, 64 hexadecimal digits, base64 or 32 bytes (create one with: bmaas agent keygen)";
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
