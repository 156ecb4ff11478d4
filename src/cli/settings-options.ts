/** Adds the options of a command that come from the table of settings. */
import { type Command, Option } from "commander";
import { type Setting, type SettingsCommand, settings } from "../config/config.ts";

/** Adds the flags of the settings that `reader` reads. Without a flag, `loadConfig` reads the environment. */
export function addSettings(command: Command, reader: SettingsCommand): Command {
  for (const setting of Object.values<Setting>(settings)) {
    if (setting.flag === undefined || !setting.commands.includes(reader)) continue;
    const fallback = setting.default === undefined ? "" : `, default ${setting.default}`;
    command.addOption(
      new Option(`${setting.flag} <${setting.value}>`, `${setting.description} (${setting.variable}${fallback})`),
    );
  }
  return command;
}
