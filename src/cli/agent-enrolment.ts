/** Finds the machine id of an agent that was given none: the one that it keeps, or the one that it is let in with. */
import { readFile, rm } from "node:fs/promises";
import { Code } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { EnrolmentOptions } from "../agent/enrol-agent.ts";
import { findFile, replaceFile } from "../base/atomic-file.ts";
import { ConfigError } from "../config/config.ts";
import { parseMachineId } from "../contract/machine-id.ts";
import { findConnectionAdvice, readReason } from "./agent-advice.ts";

/** The flags that concern the enrolment. */
export interface EnrolmentFlags {
  readonly key?: string;
  readonly joinTokenFile?: string;
}

/** Dependencies of `findMachineId`. */
export interface EnrolmentContext extends Pick<EnrolmentOptions, "client" | "collectHardware" | "signal"> {
  readonly agent: Pick<typeof import("../agent/index.ts"), "enrolAgent">;
  readonly log: Logger;
  readonly intervalMs: number | undefined;
  /** For the log, in hexadecimal digits. */
  readonly publicKey: string;
  readonly endpoint: string;
}

/**
 * Returns the machine id that the agent keeps beside its key. Without one, asks to be let in until it is, and keeps the
 * id. Resolves to undefined if the signal aborts before. Throws ConfigError for a file that cannot be read.
 */
export async function findMachineId(
  { key, joinTokenFile }: EnrolmentFlags,
  givenToken: string | undefined,
  { agent, log, publicKey, endpoint, ...options }: EnrolmentContext,
): Promise<string | undefined> {
  const file = `${key}.machine-id`;
  const kept = await readKeptId(file, publicKey);
  if (kept !== undefined) return kept;
  const joinToken = joinTokenFile === undefined ? givenToken : await readJoinToken(joinTokenFile);
  log.info({ publicKey, endpoint, joinToken: joinToken !== undefined }, "asking to be let in");
  const machineId = await agent.enrolAgent({
    ...options,
    joinToken,
    onEvent: (event) => {
      const retryInMs = Math.round(event.retryInMs);
      if (event.type === "waiting") log.info({ publicKey, retryInMs }, "waiting for an operator to let this agent in");
      else if (event.type === "refused") log.warn({ publicKey, reason: event.reason, retryInMs }, "not let in");
      else {
        const { error } = event;
        const advice = findConnectionAdvice(error);
        log.warn({ code: Code[error.code], reason: readReason(error), retryInMs, advice }, "cannot ask to be let in");
      }
    },
  });
  if (machineId === undefined) return undefined;
  await replaceFile(file, `${machineId} ${publicKey}\n`, 0o600);
  log.info({ machineId, publicKey, file }, "let in");
  return machineId;
}

/**
 * Returns the id that was kept for this key. Removes one that was kept for another key, which was lost or replaced
 * since.
 */
async function readKeptId(file: string, publicKey: string): Promise<string | undefined> {
  try {
    const [id, keptFor] = (await findFile(file))?.trim().split(" ") ?? [];
    if (id === undefined) return undefined;
    if (keptFor === publicKey) return parseMachineId(id);
    await rm(file);
    return undefined;
  } catch (error) {
    throw new ConfigError([`${file}: ${(error as Error).message}`]);
  }
}

async function readJoinToken(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new ConfigError([`--join-token-file: ${(error as Error).message}`]);
  }
}
