/** The options that identify the agent in its commands. */
import { existsSync } from "node:fs";
import { generateAgentKey } from "../agent/agent-key.ts";
import {
  AgentKeyExistsError,
  type AgentKeyFileError,
  type LoadedAgentKey,
  loadAgentKey,
  saveAgentKey,
} from "../agent/key-file.ts";
import { ConfigError } from "../config/config.ts";
import { InvalidMachineIdError, parseMachineId } from "../contract/machine-id.ts";

/** The flags as commander passes them. */
export interface IdentityOptions {
  readonly machineId?: string;
  readonly key?: string;
}

const missingKey = "--key is missing (create a key with: bmaas agent keygen --out FILE)";

/** Checks the required options. Throws ConfigError with every mistake in them. */
export function checkAgentOptions(flags: IdentityOptions, target: { url: string | undefined; flag: string }) {
  const { url, machineId } = checkOptionalId(flags, target, ["--machine-id is missing"]);
  return { url, machineId: machineId ?? "" };
}

/** Checks the options of an agent that may have no machine id yet. Throws ConfigError with every mistake in them. */
export function checkOptionalId(
  flags: IdentityOptions,
  target: { url: string | undefined; flag: string },
  ifMissing: readonly string[] = [],
) {
  const mistakes: string[] = [];
  let machineId: string | undefined;
  try {
    if (flags.machineId === undefined) mistakes.push(...ifMissing);
    else machineId = parseMachineId(flags.machineId);
  } catch (error) {
    if (!(error instanceof InvalidMachineIdError)) throw error;
    mistakes.push(`--machine-id: ${error.message}`);
  }
  if (flags.key === undefined) mistakes.push(missingKey);
  const url = URL.parse(target.url ?? "");
  if (target.url === undefined) mistakes.push(`${target.flag} is missing`);
  else if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    mistakes.push(`${target.flag}: not an http or https URL without credentials`);
  }
  if (mistakes.length > 0 || url === null) throw new ConfigError(mistakes);
  return { machineId, url };
}

/** Loads the key that `--key` names. Throws ConfigError if that fails. */
export async function loadKey({ key }: IdentityOptions): Promise<LoadedAgentKey> {
  if (key === undefined) throw new ConfigError([missingKey]);
  try {
    return await loadAgentKey(key);
  } catch (error) {
    throw new ConfigError([`--key: ${(error as AgentKeyFileError).message}`]);
  }
}

/**
 * Loads the key that `--key` names, and creates it if there is no such file. Agents that do this at once get the same
 * key. Throws ConfigError if that fails.
 */
export async function loadOrCreateKey({ key: file }: IdentityOptions): Promise<LoadedAgentKey> {
  if (file === undefined) throw new ConfigError([missingKey]);
  if (existsSync(file)) return await loadKey({ key: file });
  const key = await generateAgentKey();
  try {
    await saveAgentKey(file, key);
  } catch (error) {
    if (error instanceof AgentKeyExistsError) return await loadKey({ key: file });
    throw new ConfigError([`--key: ${(error as AgentKeyFileError).message}`]);
  }
  return { key, warnings: [] };
}
