/** All settings, one row each. The configuration, its flags, help and documentation derive from these rows. */
import { connectionSettings } from "./connection-settings.ts";
import { operatorSettings } from "./operator-settings.ts";
import { serviceSettings } from "./service-settings.ts";
import type { Setting } from "./setting.ts";

export type { Setting, SettingsCommand } from "./setting.ts";

/** All settings by their names in the configuration, in the order in which help and documentation list them. */
export const settings = {
  ...connectionSettings,
  ...operatorSettings,
  ...serviceSettings,
} as const satisfies Readonly<Record<string, Setting>>;

type Settings = typeof settings;

/** Name of a setting in the configuration. */
export type SettingName = keyof Settings;

type SettingWithDefault = {
  [Name in SettingName]: Settings[Name] extends { default: string } ? Name : never;
}[SettingName];

/** Parsed values of the settings. A setting without a default may be absent. */
export type SettingValues = {
  readonly [Name in keyof Pick<Settings, SettingWithDefault>]: ReturnType<Settings[Name]["parse"]>;
} & {
  readonly [Name in keyof Omit<Settings, SettingWithDefault>]?: ReturnType<Settings[Name]["parse"]> | undefined;
};

type CamelCase<Text extends string> = Text extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Text;

type AnyFlag = Extract<Settings[SettingName], { flag: string }>["flag"];

/** Values from the command line, under the names that commander derives from the flags. */
export type Flags = {
  readonly [Flag in AnyFlag as Flag extends `--${infer Name}` ? CamelCase<Name> : never]?: string | undefined;
};
