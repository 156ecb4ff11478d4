/** The argument and the option for an agent's public key. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { ConfigError } from "../../config/config.ts";
import { InvalidPublicKeyError, parsePublicKey } from "../../contract/public-key.ts";
import { argumentParser } from "../operator/arguments.ts";

/** The flags as commander passes them. */
export interface KeyFlags {
  readonly publicKeyFile?: string;
}

/** Parses an agent's public key. */
export const publicKeyArgument = argumentParser(parsePublicKey);

/** Adds an argument for the key, and the option that can replace it. Call it after the command's other arguments. */
export function addKey(command: Command): Command {
  return command
    .argument(
      "[public-key]",
      "the agent's Ed25519 public key, as bmaas agent keygen prints it, or in base64",
      publicKeyArgument,
    )
    .option("--public-key-file <file>", "read the public key from a file, or from standard input: -");
}

/** Returns the key. Throws ConfigError if there is none or two, or if the file contains no key. */
export async function readKey(key: Uint8Array | undefined, { publicKeyFile }: KeyFlags): Promise<Uint8Array> {
  if (key !== undefined && publicKeyFile !== undefined) {
    throw new ConfigError(["give either a public key or --public-key-file, not both"]);
  }
  if (key !== undefined) return key;
  if (publicKeyFile === undefined) throw new ConfigError(["give the public key, or its file with --public-key-file"]);
  try {
    return parsePublicKey(publicKeyFile === "-" ? await text(process.stdin) : await readFile(publicKeyFile, "utf8"));
  } catch (error) {
    const what =
      error instanceof InvalidPublicKeyError ? `${publicKeyFile}: ${error.message}` : (error as Error).message;
    throw new ConfigError([`--public-key-file: ${what}`]);
  }
}
