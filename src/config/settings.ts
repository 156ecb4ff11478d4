/**
 * Declares every setting, one row each. The configuration, its flags, help and documentation derive from these rows.
 */

import { resolve } from "node:path";
import { parseDatabaseUrl } from "./database-url.ts";
import { parseStateLimits } from "./durations.ts";
import { parseAudiences, parseClientId, parseIssuer, parseRoleRules } from "./oidc.ts";
import {
  parseAdminUrl,
  parseAuthorities,
  parseBearerToken,
  parseDays,
  parseDeadlineMs,
  parseDelayMs,
  parseExpectedPolicy,
  parseIntervalMs,
  parseListenAddress,
  parseLogLevel,
  parseMetricLabels,
  parseNetworks,
  parseReceiverAllow,
  parseReenrolment,
  parseReinstallLimit,
  parseSwitch,
  parseVersion,
  parseWorkers,
} from "./values.ts";

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

/** All settings by their names in the configuration, in the order in which help and documentation list them. */
export const settings = {
  databaseUrl: {
    variable: "DATABASE_URL",
    value: "URL",
    parse: parseDatabaseUrl,
    commands: ["serve", "migrate", "seed"],
    isSecret: true,
    description: "PostgreSQL to use; without it the server starts its own",
  },
  home: {
    variable: "BMAAS_HOME",
    flag: "--home",
    value: "DIR",
    default: ".bmaas",
    parse: toAbsolutePath,
    commands: ["serve", "migrate", "seed", "operators"],
    description: "folder for the server's own PostgreSQL, the development CA and the first administrator's token",
  },
  agentListen: {
    variable: "BMAAS_AGENT_LISTEN",
    flag: "--agent-listen",
    value: "HOST:PORT",
    default: "127.0.0.1:8443",
    parse: parseListenAddress,
    commands: ["serve"],
    description: "address of the agents' listener",
  },
  adminListen: {
    variable: "BMAAS_ADMIN_LISTEN",
    flag: "--admin-listen",
    value: "HOST:PORT",
    default: "127.0.0.1:8480",
    parse: parseListenAddress,
    commands: ["serve"],
    description: "address of the operators' listener",
  },
  tlsCertFile: {
    variable: "BMAAS_TLS_CERT",
    flag: "--tls-cert",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["serve"],
    description: "PEM certificate chain of the agents' listener; without it the development CA issues one",
  },
  tlsKeyFile: {
    variable: "BMAAS_TLS_KEY",
    flag: "--tls-key",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["serve"],
    description: "PEM private key of that certificate",
  },
  tlsTickets: {
    variable: "BMAAS_TLS_TICKETS",
    flag: "--tls-tickets",
    value: "on|off",
    default: "on",
    parse: parseSwitch,
    commands: ["serve"],
    description: "off makes agents prove their key by a full handshake on every TLS connection",
  },
  tlsTicketSecretFile: {
    variable: "BMAAS_TLS_TICKET_SECRET",
    flag: "--tls-ticket-secret",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["serve"],
    description: "secret in base64 of servers that accept each other's TLS tickets; without it each has its own",
  },
  agentTls: {
    variable: "BMAAS_AGENT_TLS",
    flag: "--agent-tls",
    value: "on|off",
    default: "on",
    parse: parseSwitch,
    commands: ["serve"],
    description: "off serves agents in plaintext, behind a proxy that terminates TLS, and accepts only signed requests",
  },
  agentAuthorities: {
    variable: "BMAAS_AGENT_AUTHORITY",
    flag: "--agent-authority",
    value: "HOST[:PORT],…",
    parse: parseAuthorities,
    commands: ["serve"],
    description: "names that agents may sign requests for; without it the listen address and localhost",
  },
  agentProxies: {
    variable: "BMAAS_AGENT_PROXIES",
    flag: "--agent-proxies",
    value: "ADDRESS[/BITS],…",
    parse: parseNetworks,
    commands: ["serve"],
    description: "proxies whose connections to the agents' listener begin with a PROXY protocol header",
  },
  unaryLane: {
    variable: "BMAAS_UNARY_LANE",
    flag: "--unary-lane",
    value: "on|off",
    default: "on",
    parse: parseSwitch,
    commands: ["serve"],
    description: "off serves heartbeats through Connect's slower handler: the same answers, but 415 to grpc-web-text",
  },
  adminTlsCertFile: {
    variable: "BMAAS_ADMIN_TLS_CERT",
    flag: "--admin-tls-cert",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["serve"],
    description: "PEM certificate chain of the operators' listener; without it that listener is plaintext",
  },
  adminTlsKeyFile: {
    variable: "BMAAS_ADMIN_TLS_KEY",
    flag: "--admin-tls-key",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["serve"],
    description: "PEM private key of that certificate",
  },
  adminBehindProxy: {
    variable: "BMAAS_ADMIN_BEHIND_PROXY",
    flag: "--admin-behind-proxy",
    value: "on|off",
    default: "off",
    parse: parseFlag,
    commands: ["serve"],
    description:
      "on says that a proxy terminates TLS for the operators' listener, which may then listen beyond loopback",
  },
  oidcIssuer: {
    variable: "BMAAS_OIDC_ISSUER",
    flag: "--oidc-issuer",
    value: "URL",
    parse: parseIssuer,
    commands: ["serve"],
    description: "OpenID Connect issuer of operators' tokens; without it the server accepts only its own tokens",
  },
  oidcAudiences: {
    variable: "BMAAS_OIDC_AUDIENCE",
    flag: "--oidc-audience",
    value: "AUDIENCE,…",
    parse: parseAudiences,
    commands: ["serve"],
    description: "audiences accepted in the issuer's tokens",
  },
  oidcRoleClaim: {
    variable: "BMAAS_OIDC_ROLE_CLAIM",
    flag: "--oidc-role-claim",
    value: "CLAIM",
    default: "roles",
    parse: (text: string) => text,
    commands: ["serve"],
    description:
      "claim of those tokens that holds the caller's roles; dots reach nested claims, as in realm_access.roles",
  },
  oidcRoles: {
    variable: "BMAAS_OIDC_ROLES",
    flag: "--oidc-roles",
    value: "ROLE=VALUE,…",
    parse: parseRoleRules,
    commands: ["serve"],
    description: "roles granted by values of that claim, such as admin=bmaas-admins,operator=sre,viewer=*",
  },
  oidcClientId: {
    variable: "BMAAS_OIDC_CLIENT_ID",
    flag: "--oidc-client-id",
    value: "ID",
    parse: parseClientId,
    commands: ["serve"],
    description: "public client of that issuer by which people sign in to the console; without it they need a token",
  },
  console: {
    variable: "BMAAS_CONSOLE",
    flag: "--console",
    value: "on|off",
    default: "on",
    parse: parseFlag,
    commands: ["serve"],
    description: "off does not serve the console, the page at / of the operators' listener",
  },
  adminUrl: {
    variable: "BMAAS_ADMIN_URL",
    flag: "--admin-url",
    value: "URL",
    parse: parseAdminUrl,
    commands: ["operators"],
    description: "server that operators' commands call; without it the local one",
  },
  adminToken: {
    variable: "BMAAS_ADMIN_TOKEN",
    value: "TOKEN",
    parse: parseBearerToken,
    commands: ["operators"],
    isSecret: true,
    description: "token of operators' commands; without it the local server's, from BMAAS_HOME",
  },
  joinToken: {
    variable: "BMAAS_JOIN_TOKEN",
    value: "TOKEN",
    parse: parseBearerToken,
    commands: ["agent"],
    isSecret: true,
    description:
      "join token with which an agent without a machine id asks to be let in; without it the agent waits for an operator",
  },
  adminCaFile: {
    variable: "BMAAS_ADMIN_CA",
    flag: "--admin-ca",
    value: "FILE",
    parse: toAbsolutePath,
    commands: ["operators"],
    description: "PEM file of the CAs that operators' commands trust; without it the CAs that Node ships",
  },
  adminPlaintext: {
    variable: "BMAAS_ADMIN_PLAINTEXT",
    flag: "--admin-plaintext",
    value: "on|off",
    default: "off",
    parse: parseFlag,
    commands: ["operators"],
    description: "on lets operators' commands send their token over plain http to another machine",
  },
  heartbeatIntervalMs: {
    variable: "BMAAS_HEARTBEAT_INTERVAL",
    flag: "--heartbeat-interval",
    value: "SECONDS",
    default: "30",
    parse: parseIntervalMs,
    commands: ["serve"],
    description: "heartbeat interval requested of agents; lengthened under load",
  },
  installDeadlineMs: {
    variable: "BMAAS_INSTALL_DEADLINE",
    flag: "--install-deadline",
    value: "SECONDS",
    default: "1200",
    parse: parseDeadlineMs,
    commands: ["serve"],
    description: "time until an installation is overdue when its agent reports no progress",
  },
  stateLimits: {
    variable: "BMAAS_STATE_LIMITS",
    flag: "--state-limits",
    value: "STATE=DURATION,…",
    parse: parseStateLimits,
    commands: ["serve"],
    description:
      "longest times in states, such as installation_given=10m,never_heartbeated=1d; the same for all servers",
  },
  reenrolment: {
    variable: "BMAAS_REENROL",
    flag: "--reenrol",
    value: "POLICY",
    default: "approve",
    parse: parseReenrolment,
    commands: ["serve"],
    description:
      "known machines with another key: approve waits for an operator, token lets a join token replace it, never refuses",
  },
  enrolExpected: {
    variable: "BMAAS_ENROL_EXPECTED",
    flag: "--enrol-expected",
    value: "POLICY",
    default: "wait",
    parse: parseExpectedPolicy,
    commands: ["serve"],
    description:
      "agents of expected machines without a join token: wait for an operator, or accept; see docs/enrolment.md",
  },
  agentMinVersion: {
    variable: "BMAAS_AGENT_MIN_VERSION",
    flag: "--agent-min-version",
    value: "VERSION",
    parse: parseVersion,
    commands: ["serve"],
    description: "oldest version agents should have, such as 1.4.0; older ones are an issue; the same for all servers",
  },
  hardwareMaxAgeMs: {
    variable: "BMAAS_HARDWARE_MAX_AGE",
    flag: "--hardware-max-age",
    value: "SECONDS",
    default: "604800",
    parse: parseDeadlineMs,
    commands: ["serve", "seed"],
    description: "maximum age of a hardware report from which the disk of an installation may be chosen",
  },
  reinstallLimit: {
    variable: "BMAAS_REINSTALL_LIMIT",
    flag: "--reinstall-limit",
    value: "N",
    default: "3",
    parse: parseReinstallLimit,
    commands: ["serve", "seed"],
    description: "maximum number of installations in the window, unless requested for a machine alone; 0 for no limit",
  },
  reinstallWindowMs: {
    variable: "BMAAS_REINSTALL_WINDOW",
    flag: "--reinstall-window",
    value: "SECONDS",
    default: "86400",
    parse: parseDeadlineMs,
    commands: ["serve", "seed"],
    description: "the window in which those installations are counted",
  },
  historyDays: {
    variable: "BMAAS_HISTORY_DAYS",
    flag: "--history-days",
    value: "DAYS",
    default: "365",
    parse: parseDays,
    commands: ["serve"],
    description: "how long the history of machines is kept; 0 keeps it forever",
  },
  metricsPublic: {
    variable: "BMAAS_METRICS_PUBLIC",
    flag: "--metrics-public",
    value: "on|off",
    default: "off",
    parse: parseFlag,
    commands: ["serve"],
    description: "on serves /metrics without a token to anyone who reaches the operators' listener",
  },
  metricLabels: {
    variable: "BMAAS_METRIC_LABELS",
    flag: "--metric-labels",
    value: "KEY,…",
    parse: parseMetricLabels,
    commands: ["serve"],
    description: "labels of machines that the fleet's metrics show as label_KEY; each combination is a series",
  },
  receiverAllow: {
    variable: "BMAAS_RECEIVER_ALLOW",
    flag: "--receiver-allow",
    value: "ADDRESS[/BITS]|HOST,…",
    parse: parseReceiverAllow,
    commands: ["serve"],
    description: "private addresses and hosts that receivers of events may have, also over plain http",
  },
  logLevel: {
    variable: "BMAAS_LOG_LEVEL",
    flag: "--log-level",
    value: "LEVEL",
    default: "info",
    parse: parseLogLevel,
    commands: ["serve", "migrate", "seed", "agent"],
    description: "fatal, error, warn, info, debug, trace or silent",
  },
  shutdownDelayMs: {
    variable: "BMAAS_SHUTDOWN_DELAY",
    flag: "--shutdown-delay",
    value: "SECONDS",
    default: "0.25",
    parse: parseDelayMs,
    commands: ["serve"],
    description: "time between failing readiness and closing the listeners, so that load balancers notice",
  },
  workers: {
    variable: "BMAAS_WORKERS",
    flag: "--workers",
    value: "N",
    default: "1",
    parse: parseWorkers,
    commands: ["serve"],
    description: "number of processes that serve on the same ports; SIGHUP replaces them one by one",
  },
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

function toAbsolutePath(text: string, directory: string): string {
  return resolve(directory, text);
}

function parseFlag(text: string): boolean {
  return parseSwitch(text) === "on";
}
