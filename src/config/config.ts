/** Environment and flags become one checked value here, so that nothing else reads the environment or judges a setting. */
import { resolve } from "node:path";
import { OperatorError } from "../base/operator-error.ts";
import { findOidcNotes, type OidcConfig, readOidc } from "./oidc.ts";
import { type Flags, type Setting, type SettingName, settings } from "./settings.ts";
import { readTracing, type TracingConfig } from "./tracing.ts";
import { findUnknownVariables } from "./unknown-variables.ts";
import {
  InvalidValueError,
  isLoopback,
  type ListenAddress,
  type LogLevel,
  overlaps,
  parseAdminUrl,
  parseAuthorities,
  parseBearerToken,
  parseDatabaseUrl,
  parseDays,
  parseDeadlineMs,
  parseDelayMs,
  parseIntervalMs,
  parseListenAddress,
  parseLogLevel,
  parseSwitch,
  parseWorkers,
} from "./values.ts";

export { isTrustworthy, type OidcConfig } from "./oidc.ts";
export { type Flags, type SettingName, settings } from "./settings.ts";
export type { TracingConfig } from "./tracing.ts";
export type { ListenAddress, LogLevel } from "./values.ts";

/** The environment of a process, or what a test puts in its place. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A certificate chain and its key, both PEM, as absolute paths. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** All that can be configured. Holds secrets: never log it whole. */
export interface Config {
  /** Absent: the server runs a PostgreSQL of its own under `home`. */
  readonly databaseUrl?: string | undefined;
  /** Absolute path. */
  readonly home: string;
  readonly agentListen: ListenAddress;
  readonly adminListen: ListenAddress;
  /** Of the agents' listener. Absent: the development CA issues one, unless `agentTls` is off. */
  readonly tls?: TlsFiles | undefined;
  readonly agentTls: "on" | "off";
  /** Whether heartbeats take the unary lane. */
  readonly unaryLane: "on" | "off";
  /** As RFC 9421 compares `@authority`. Absent: the listen address and localhost, once the port is known. */
  readonly agentAuthorities?: readonly string[] | undefined;
  /** Of the operators' listener. Absent: plaintext. */
  readonly adminTls?: TlsFiles | undefined;
  readonly adminBehindProxy: boolean;
  /** Absent: only tokens of this server's own let anybody in. */
  readonly oidc?: OidcConfig | undefined;
  /** For the operators' commands, without a slash at the end. Absent: the local server's. */
  readonly adminUrl?: string | undefined;
  /** For the operators' commands. Absent: the local server's, from `home`. */
  readonly adminToken?: string | undefined;
  /** For the operators' commands: PEM, as an absolute path. Absent: the CAs that Node trusts. */
  readonly adminCaFile?: string | undefined;
  /** For the operators' commands: whether their token may cross a network in plaintext. */
  readonly adminPlaintext: boolean;
  /** Between two heartbeats of an agent that is paced, while nothing is loaded. */
  readonly heartbeatIntervalMs: number;
  /** How long an installation may take from its delivery on, unless the agent tells of its progress. */
  readonly installDeadlineMs: number;
  /** How long events of machines are kept; 0 is for ever. */
  readonly historyDays: number;
  /** Who scrapes needs no token. */
  readonly metricsPublic: boolean;
  /** Absent: nothing is traced. */
  readonly tracing?: TracingConfig | undefined;
  readonly logLevel: LogLevel;
  /** Between readiness going off and the listeners closing. */
  readonly shutdownDelayMs: number;
  /** Processes that serve. */
  readonly workers: number;
  /** What is allowed and still worth a warning at start, one sentence each. */
  readonly notes: readonly string[];
}

/** The settings of which more can be said by trying them than by reading them. */
export type TriableSettings = {
  readonly [Name in "databaseUrl" | "home" | "tls" | "agentTls" | "adminTls" | "agentListen" | "adminListen"]?:
    | Config[Name]
    | undefined;
};

/** Holds every mistake of a configuration at once; its message has one line for each. */
export class ConfigError extends OperatorError {
  override readonly name = "ConfigError";
  readonly mistakes: readonly string[];
  /** What could be read nevertheless, so that the rest of it can be tried before anybody is told. */
  readonly sound: TriableSettings;
  constructor(mistakes: readonly string[], sound: TriableSettings = {}) {
    super(mistakes.join("\n"));
    this.mistakes = mistakes;
    this.sound = sound;
  }
}

/**
 * Checks all settings and throws ConfigError with every mistake among them. A flag wins over its variable, and an empty variable
 * counts as unset. Opens no file; relative paths start at `directory`.
 */
export function loadConfig(
  environment: Environment = process.env,
  flags: Flags = {},
  directory: string = process.cwd(),
): Config {
  const reader = createReader(environment, flags);
  const values = readValues(reader, directory);
  const mistakes = [
    ...reader.mistakes,
    ...findConflicts(values, reader.label),
    ...findUnknownVariables(
      environment,
      settings.map((setting) => setting.variable),
    ),
  ];
  if (mistakes.length > 0 || !isComplete(values)) throw new ConfigError(mistakes, values);
  const notes = findOidcNotes(values.oidc);
  const tracing = readTracing(environment, notes);
  if (values.agentTls === "off" && !isLoopback(values.agentListen)) {
    notes.push(
      "agents are served in plaintext beyond loopback: only signed requests count, and the network can read them",
    );
  }
  return { ...values, tracing, notes };
}

/** What has a default, so that only a mistake leaves it out. */
const required = [
  "home",
  "agentListen",
  "adminListen",
  "agentTls",
  "unaryLane",
  "adminBehindProxy",
  "adminPlaintext",
  "heartbeatIntervalMs",
  "installDeadlineMs",
  "historyDays",
  "metricsPublic",
  "logLevel",
  "shutdownDelayMs",
  "workers",
] as const satisfies readonly (keyof Values)[];

type CompleteValues = Values & { readonly [Name in (typeof required)[number]]: NonNullable<Values[Name]> };

function isComplete(values: Values): values is CompleteValues {
  return required.every((name) => values[name] !== undefined);
}

function readValues(reader: Reader, directory: string) {
  const { read, readPair } = reader;
  const path = (text: string) => resolve(directory, text);
  return {
    databaseUrl: read("databaseUrl", parseDatabaseUrl),
    home: read("home", path),
    agentListen: read("agentListen", parseListenAddress),
    adminListen: read("adminListen", parseListenAddress),
    tls: readPair("tlsCert", "tlsKey", path),
    agentTls: read("agentTls", parseSwitch),
    agentAuthorities: read("agentAuthority", parseAuthorities),
    unaryLane: read("unaryLane", parseSwitch),
    adminTls: readPair("adminTlsCert", "adminTlsKey", path),
    adminBehindProxy: read("adminBehindProxy", (text) => parseSwitch(text) === "on"),
    oidc: readOidc(reader),
    adminUrl: read("adminUrl", parseAdminUrl),
    adminToken: read("adminToken", parseBearerToken),
    adminCaFile: read("adminCa", path),
    adminPlaintext: read("adminPlaintext", (text) => parseSwitch(text) === "on"),
    heartbeatIntervalMs: read("heartbeatInterval", parseIntervalMs),
    installDeadlineMs: read("installDeadline", parseDeadlineMs),
    historyDays: read("historyDays", parseDays),
    metricsPublic: read("metricsPublic", (text) => parseSwitch(text) === "on"),
    logLevel: read("logLevel", parseLogLevel),
    shutdownDelayMs: read("shutdownDelay", parseDelayMs),
    workers: read("workers", parseWorkers),
  };
}

type Values = ReturnType<typeof readValues>;

/** Nine connections each, as many for one that is being replaced, and some for commands are within its 100. */
const mostWorkersOfOwnDatabase = 8;

/** Settings that are right by themselves and wrong together. */
function findConflicts(values: Values, label: Reader["label"]): string[] {
  const { agentListen, adminListen, agentTls, tls, adminTls, adminBehindProxy, databaseUrl, workers = 1 } = values;
  const conflicts: string[] = [];
  if (databaseUrl === undefined && workers > mostWorkersOfOwnDatabase) {
    conflicts.push(
      `${label("workers")}: the server's own PostgreSQL has connections for ${mostWorkersOfOwnDatabase}; more need ${label("databaseUrl")}`,
    );
  }
  if (agentTls === "off" && tls !== undefined) {
    conflicts.push(`${label("tlsCert")}: has no use while ${label("agentTls")} is off`);
  }
  if (agentListen !== undefined && adminListen !== undefined && overlaps(agentListen, adminListen)) {
    conflicts.push(`${label("adminListen")}: collides with ${label("agentListen")}, give each its own port`);
  }
  if (adminListen !== undefined && !isLoopback(adminListen) && adminTls === undefined && adminBehindProxy === false) {
    conflicts.push(
      `${label("adminListen")}: beyond loopback it needs ${label("adminTlsCert")} and ${label("adminTlsKey")},` +
        ` or that ${label("adminBehindProxy")} is on because a proxy ends TLS in front of it`,
    );
  }
  return conflicts;
}

interface Reader {
  readonly mistakes: string[];
  /** The name by which the user gave the setting, or could have. */
  label(name: SettingName): string;
  /** The parsed value or default; undefined when there is neither, or when it is a mistake, which is noted then. */
  read<T>(name: SettingName, parse: (text: string) => T): T | undefined;
  /** Both files, or neither; one without the other is a mistake. */
  readPair(certName: SettingName, keyName: SettingName, path: (text: string) => string): TlsFiles | undefined;
}

function createReader(environment: Environment, flags: Flags): Reader {
  const mistakes: string[] = [];
  const table = new Map<SettingName, Setting>(settings.map((setting) => [setting.name, setting]));

  function label(name: SettingName): string {
    const setting = table.get(name);
    return (flags[name] === undefined ? setting?.variable : setting?.flag) ?? name;
  }

  function read<T>(name: SettingName, parse: (text: string) => T): T | undefined {
    const setting = table.get(name);
    const text = flags[name] ?? (environment[setting?.variable ?? ""] || setting?.default);
    if (text === undefined) return undefined;
    try {
      if (text.trim() === "") throw new InvalidValueError("is empty");
      return parse(text);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      mistakes.push(`${label(name)}: ${error.message}`);
      return undefined;
    }
  }

  function readPair(certName: SettingName, keyName: SettingName, path: (text: string) => string): TlsFiles | undefined {
    const certFile = read(certName, path);
    const keyFile = read(keyName, path);
    if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
    if (certFile !== undefined) mistakes.push(`${label(certName)}: needs ${label(keyName)} as well`);
    if (keyFile !== undefined) mistakes.push(`${label(keyName)}: needs ${label(certName)} as well`);
    return undefined;
  }

  return { mistakes, label, read, readPair };
}
