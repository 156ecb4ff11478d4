/** Reads and writes an agent's state file, whose form is checked and whose content is replaced as a whole. */
import { readFile, readlink, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { replaceFile } from "../base/atomic-file.ts";
import { OperatorError } from "../base/operator-error.ts";

/** Says why an agent cannot continue with its state file, and what to do. */
export class InstallStateError extends OperatorError {
  override readonly name: string = "InstallStateError";
}

/** The state file is that of another machine. */
export class OtherMachineStateError extends InstallStateError {
  override readonly name = "OtherMachineStateError";
}

const generationSchema = z
  .string()
  .regex(/^(0|-?[1-9][0-9]{0,18})$/)
  .transform(BigInt);
const dueSchema = z.strictObject({ starts: z.int().min(0), bootId: z.string().optional() });
const attemptSchema = z.strictObject({
  generation: generationSchema,
  request: z.string(),
  phase: z.enum(["installing", "done", "reported"]),
  error: z.string().optional(),
  hanging: z.strictObject({ generation: generationSchema, bootId: z.string() }).optional(),
  /** Missing until a success has been reported. */
  afterInstall: z.union([dueSchema, z.literal("over")]).optional(),
});
const stateSchema = z.strictObject({ machineId: z.string(), attempt: attemptSchema.optional() });

/** The last attempt, as the file has it. */
export type Attempt = z.infer<typeof attemptSchema>;

/**
 * Returns the file that a symbolic link leads to. Replacing the link itself would leave the old state at its target,
 * and its lock would be a different one.
 */
export async function resolveLink(path: string): Promise<string> {
  const target = await readlink(path).catch(() => undefined);
  if (target === undefined) return path;
  try {
    return await realpath(path);
  } catch (error) {
    // The link's target does not exist yet.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return resolve(await realpath(dirname(path)), target);
    throw new InstallStateError(`${path}: ${(error as Error).message}`);
  }
}

/**
 * Returns the last attempt of the machine; undefined if there is no file, or no attempt in it. Throws InstallStateError
 * if the file is damaged or another machine's.
 */
export async function readState(file: string, machineId: string): Promise<Attempt | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const state = parseState(file, text);
  if (state.machineId !== machineId) {
    throw new OtherMachineStateError(
      `${file} is the state of machine ${state.machineId}: name another file for ${machineId}`,
    );
  }
  return state.attempt;
}

/** Throws InstallStateError, and leaves the file as it is: what it says of attempts must not be lost. */
function parseState(file: string, text: string): z.infer<typeof stateSchema> {
  const { data, error } = stateSchema.safeParse(parseJson(text));
  if (data !== undefined) return data;
  const unknown = error.issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []));
  if (error.issues.every(({ code }) => code === "unrecognized_keys")) {
    throw new InstallStateError(
      `${file} is of a newer version of the agent, which stores ${unknown.join(", ")}: run that version or a later one`,
    );
  }
  throw new InstallStateError(
    `${file} is damaged, so the agent cannot tell which installations this machine has attempted: ` +
      "restore it, or delete it when no installation is requested for this machine",
  );
}

/** Returns undefined for a text that is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes the state. Resolves once it is on disk. */
export async function writeState(file: string, machineId: string, attempt: Attempt | undefined): Promise<void> {
  const toText = (_key: string, value: unknown) => (typeof value === "bigint" ? `${value}` : value);
  await replaceFile(file, `${JSON.stringify({ machineId, attempt }, toText)}\n`, 0o600);
}
