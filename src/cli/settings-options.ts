/** The options that a command takes from the table of settings. */
import { type Command, Option } from "commander";
import { type SettingName, settings } from "../config/config.ts";

/** Adds the flags of the named settings to a command; their values are read from the environment where no flag is given. */
export function addSettings(command: Command, names: readonly SettingName[]): Command {
  for (const setting of settings) {
    if (!names.includes(setting.name) || !("flag" in setting)) continue;
    const fallback = "default" in setting ? `, default ${setting.default}` : "";
    command.addOption(
      new Option(`${setting.flag} <${setting.value}>`, `${setting.description} (${setting.variable}${fallback})`),
    );
  }
  return command;
}
