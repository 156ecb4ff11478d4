/**
 * Turns environment and flags into one checked configuration. Nothing else reads the environment or judges a setting.
 */
import { OperatorError } from "../base/operator-error.ts";
import { settleTlsMode } from "./database-url.ts";
import { findOidcNotes, groupOidc, type OidcConfig, oidcSettings } from "./oidc.ts";
import { type Flags, type Setting, type SettingName, type SettingValues, settings } from "./settings.ts";
import { readTracing, type TracingConfig } from "./tracing.ts";
import { findUnknownVariables } from "./unknown-variables.ts";
import { InvalidValueError, isLoopback, overlaps } from "./values.ts";

export { isTrustworthy, type OidcConfig } from "./oidc.ts";
export { type Flags, type Setting, type SettingsCommand, settings } from "./settings.ts";
export type { TracingConfig } from "./tracing.ts";
export type { ListenAddress } from "./values.ts";

/** The environment of a process, or a test's replacement for it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A certificate chain and its key, both PEM, as absolute paths. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Values that combine settings which only count together. */
interface SettingGroups {
  /** Certificate of the agents' listener. Absent: the development CA issues one, unless `agentTls` is off. */
  readonly tls?: TlsFiles | undefined;
  /** Certificate of the operators' listener. Absent: plaintext. */
  readonly adminTls?: TlsFiles | undefined;
  /** Absent: the server accepts only its own tokens. */
  readonly oidc?: OidcConfig | undefined;
}

/** A setting of the server as it applies, for people to read. */
export interface EffectiveSetting {
  readonly variable: string;
  /** The text of the value; empty for a secret, and without a value. */
  readonly value: string;
  readonly source: "flag" | "environment" | "default" | "unset";
  readonly isSecret: boolean;
}

/** All settings; `settings` describes each of them. Contains secrets: never log it whole. */
export interface Config extends SettingValues, SettingGroups {
  /** The settings that `serve` reads, as they apply. Contains no secrets. */
  readonly effective: readonly EffectiveSetting[];
  /** Absent: nothing is traced. */
  readonly tracing?: TracingConfig | undefined;
  /** Warnings about allowed but questionable settings, to log at start, one sentence each. */
  readonly notes: readonly string[];
}

/** Settings that the program can test by using them, not only by parsing them. */
export type TriableSettings = {
  readonly [Name in
    | "databaseUrl"
    | "home"
    | "tls"
    | "tlsTicketSecretFile"
    | "agentTls"
    | "adminTls"
    | "agentListen"
    | "adminListen"]?: Config[Name] | undefined;
};

/** All mistakes of a configuration; its message has one line for each. */
export class ConfigError extends OperatorError {
  override readonly name = "ConfigError";
  readonly mistakes: readonly string[];
  /** The settings that parsed, so that they can be tested too and all mistakes reported together. */
  readonly sound: TriableSettings;
  constructor(mistakes: readonly string[], sound: TriableSettings = {}) {
    super(mistakes.join("\n"));
    this.mistakes = mistakes;
    this.sound = sound;
  }
}

/**
 * Returns the checked configuration. Throws ConfigError with every mistake among the settings. A flag overrides its
 * variable, and an empty variable counts as unset. Opens no file; relative paths start at `directory`.
 */
export function loadConfig(
  environment: Environment = process.env,
  flags: Flags = {},
  directory: string = process.cwd(),
): Config {
  const { values: given, mistaken } = readSettings(environment, flags, directory);
  const mistakes = [...mistaken.values()];
  const notes: string[] = [];
  const values = { ...given, ...settleDatabaseUrl(given.databaseUrl, environment, notes, mistakes) };
  const label = (name: SettingName) => labelSetting(name, flags);
  const isMistaken = (names: readonly SettingName[]) => names.some((name) => mistaken.has(name));
  const groups: SettingGroups = {
    tls: groupTls(values, "tlsCertFile", "tlsKeyFile", label, mistakes),
    adminTls: groupTls(values, "adminTlsCertFile", "adminTlsKeyFile", label, mistakes),
    oidc: isMistaken(oidcSettings) ? undefined : groupOidc(values, label, mistakes),
  };
  mistakes.push(...findConflicts(values, groups, label));
  const variables = Object.values<Setting>(settings).map((setting) => setting.variable);
  mistakes.push(...findUnknownVariables(environment, variables));
  if (mistakes.length > 0 || !isComplete(values)) throw new ConfigError(mistakes, { ...values, ...groups });
  notes.push(...findOidcNotes(groups.oidc));
  const tracing = readTracing(environment, notes);
  if (values.agentTls === "off" && !isLoopback(values.agentListen)) {
    notes.push(
      "agents are served in plaintext beyond loopback: only signed requests are accepted, and the network can read them",
    );
  }
  return { ...values, ...groups, tracing, effective: listEffective(environment, flags), notes };
}

/** Lists the settings that `serve` reads, as they apply, in the order of their declaration. */
function listEffective(environment: Environment, flags: Flags): EffectiveSetting[] {
  return (Object.keys(settings) as SettingName[]).flatMap((name) => {
    const setting: Setting = settings[name];
    if (!setting.commands.includes("serve")) return [];
    const { source, text = "" } = findText(name, environment, flags);
    const isSecret = setting.isSecret === true;
    return [{ variable: setting.variable, value: isSecret ? "" : text, source, isSecret }];
  });
}

/** Returns the text of a setting and where it is from. */
function findText(
  name: SettingName,
  environment: Environment,
  flags: Flags,
): { readonly source: EffectiveSetting["source"]; readonly text?: string | undefined } {
  const setting: Setting = settings[name];
  const flag = findFlag(name, flags);
  if (flag !== undefined) return { source: "flag", text: flag };
  if (environment[setting.variable]) return { source: "environment", text: environment[setting.variable] };
  return setting.default === undefined ? { source: "unset" } : { source: "default", text: setting.default };
}

/** Parses every setting that has a value or a default. Each of them is either in `values` or in `mistaken`. */
function readSettings(environment: Environment, flags: Flags, directory: string) {
  const values: Record<string, unknown> = {};
  const mistaken = new Map<SettingName, string>();
  for (const name of Object.keys(settings) as SettingName[]) {
    const setting: Setting = settings[name];
    const { text } = findText(name, environment, flags);
    if (text === undefined) continue;
    try {
      if (text.trim() === "") throw new InvalidValueError("is empty");
      values[name] = setting.parse(text, directory);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      mistaken.set(name, `${labelSetting(name, flags)}: ${error.message}`);
    }
  }
  return { values: values as Partial<SettingValues>, mistaken };
}

/**
 * Returns the URL with its TLS mode settled, and adds a note for the user to `notes` if there is one. Returns undefined
 * as the URL for an unknown mode, and adds the mistake to `mistakes`.
 */
function settleDatabaseUrl(
  given: string | undefined,
  { PGSSLMODE }: Environment,
  notes: string[],
  mistakes: string[],
): Pick<SettingValues, "databaseUrl"> {
  if (given === undefined) return {};
  try {
    const { url, note } = settleTlsMode(given, PGSSLMODE);
    if (note !== undefined) notes.push(note);
    return { databaseUrl: url };
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    mistakes.push(`DATABASE_URL: ${error.message}`);
    return { databaseUrl: undefined };
  }
}

/** Returns whether every setting with a default has a value. Only a mistake leaves one out. */
function isComplete(values: Partial<SettingValues>): values is SettingValues {
  const rows = Object.entries<Setting>(settings) as [SettingName, Setting][];
  return rows.every(([name, setting]) => setting.default === undefined || values[name] !== undefined);
}

type Label = (name: SettingName) => string;

/** Returns the name by which the user gave the setting, or could have given it. */
function labelSetting(name: SettingName, flags: Flags): string {
  const { variable, flag }: Setting = settings[name];
  return (findFlag(name, flags) === undefined ? undefined : flag) ?? variable;
}

/** Returns the value of a setting on the command line. commander derives the name there from the flag. */
function findFlag(name: SettingName, flags: Flags): string | undefined {
  const { flag }: Setting = settings[name];
  const key = flag?.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return flags[key as keyof Flags];
}

/** Returns both files, or undefined if neither is set. One without the other is a mistake. */
function groupTls(
  values: Partial<SettingValues>,
  certName: "tlsCertFile" | "adminTlsCertFile",
  keyName: "tlsKeyFile" | "adminTlsKeyFile",
  label: Label,
  mistakes: string[],
): TlsFiles | undefined {
  const { [certName]: certFile, [keyName]: keyFile } = values;
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  if (certFile !== undefined) mistakes.push(`${label(certName)}: needs ${label(keyName)} as well`);
  if (keyFile !== undefined) mistakes.push(`${label(keyName)}: needs ${label(certName)} as well`);
  return undefined;
}

/**
 * Maximum number of workers with the server's own PostgreSQL. Nine connections each, nine for a worker that is being
 * replaced, and some for commands fit into its 100.
 */
const mostWorkersOfOwnDatabase = 8;

/** Returns mistakes of settings that are valid alone but not together. */
function findConflicts(values: Partial<SettingValues>, { tls, adminTls }: SettingGroups, label: Label): string[] {
  const { agentListen, adminListen, agentTls, adminBehindProxy, databaseUrl, workers = 1 } = values;
  const conflicts: string[] = [];
  if (databaseUrl === undefined && workers > mostWorkersOfOwnDatabase) {
    conflicts.push(
      `${label("workers")}: the server's own PostgreSQL has connections for ${mostWorkersOfOwnDatabase}; more need ${label("databaseUrl")}`,
    );
  }
  if (agentTls === "off" && tls !== undefined) {
    conflicts.push(`${label("tlsCertFile")}: has no use while ${label("agentTls")} is off`);
  }
  for (const name of ["agentTls", "tlsTickets"] as const) {
    if (values[name] !== "off" || values.tlsTicketSecretFile === undefined) continue;
    conflicts.push(`${label("tlsTicketSecretFile")}: has no use while ${label(name)} is off`);
  }
  if (agentListen !== undefined && adminListen !== undefined && overlaps(agentListen, adminListen)) {
    conflicts.push(`${label("adminListen")}: collides with ${label("agentListen")}, give each its own port`);
  }
  if (adminListen !== undefined && !isLoopback(adminListen) && adminTls === undefined && adminBehindProxy === false) {
    conflicts.push(
      `${label("adminListen")}: beyond loopback it needs ${label("adminTlsCertFile")} and ${label("adminTlsKeyFile")},` +
        ` or ${label("adminBehindProxy")} set to on if a proxy terminates TLS for it`,
    );
  }
  return conflicts;
}
