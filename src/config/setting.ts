/** What a setting is, and how the texts are parsed that several of them share. */
import { resolve } from "node:path";
import { parseSwitch } from "./values.ts";

/** A command that reads settings; "operators" stands for every command that calls the operators' API. */
export type SettingsCommand = "serve" | "migrate" | "seed" | "agent" | "operators";

/** One setting: its names, its value and who reads it. */
export interface Setting {
  /** The environment variable. */
  readonly variable: string;
  /** The option of the commands; absent for secrets, which process lists would show. */
  readonly flag?: `--${string}`;
  /** How help shows the value. */
  readonly value: string;
  /** Default in the form of the variable's text; absent if there is none. */
  readonly default?: string;
  /** Parses the text. A path is relative to `directory`. Throws InvalidValueError. */
  readonly parse: (text: string, directory: string) => unknown;
  /** The commands that read the setting and have its flag. */
  readonly commands: readonly [SettingsCommand, ...SettingsCommand[]];
  /** Whether the value is a secret, which nobody is shown. A secret has no flag. */
  readonly isSecret?: true;
  /** One sentence without a full stop. If there is no default, it says what applies without a value. */
  readonly description: string;
}

/** Returns a path as an absolute one. */
export function toAbsolutePath(text: string, directory: string): string {
  return resolve(directory, text);
}

/** Parses `on` or `off`. */
export function parseFlag(text: string): boolean {
  return parseSwitch(text) === "on";
}
