/** The table of all settings, from which the commands' options, the help and the documentation are made. */

/** What a setting is called, and what it is when nobody says anything. */
export interface Setting {
  /** What commander calls the value of `flag`. */
  readonly name: string;
  /** The environment variable. */
  readonly variable: string;
  /** The option of the commands; absent for secrets, which process lists would show. */
  readonly flag?: string;
  /** How help shows the value. */
  readonly value: string;
  /** As text, in the form that the variable takes; absent when there is none. */
  readonly default?: string;
  /** One sentence without a full stop; says what holds without a value where there is no default. */
  readonly description: string;
}

/** Every setting, in the order in which people meet them. */
export const settings = [
  {
    name: "databaseUrl",
    variable: "DATABASE_URL",
    value: "URL",
    description: "PostgreSQL to use; without it the server starts one of its own",
  },
  {
    name: "home",
    variable: "BMAAS_HOME",
    flag: "--home",
    value: "DIR",
    default: ".bmaas",
    description: "where the server keeps its own PostgreSQL, the development CA and the first administrator's token",
  },
  {
    name: "agentListen",
    variable: "BMAAS_AGENT_LISTEN",
    flag: "--agent-listen",
    value: "HOST:PORT",
    default: "127.0.0.1:8443",
    description: "address of the agents' listener",
  },
  {
    name: "adminListen",
    variable: "BMAAS_ADMIN_LISTEN",
    flag: "--admin-listen",
    value: "HOST:PORT",
    default: "127.0.0.1:8480",
    description: "address of the operators' listener",
  },
  {
    name: "tlsCert",
    variable: "BMAAS_TLS_CERT",
    flag: "--tls-cert",
    value: "FILE",
    description: "PEM certificate chain of the agents' listener; without it the development CA issues one",
  },
  {
    name: "tlsKey",
    variable: "BMAAS_TLS_KEY",
    flag: "--tls-key",
    value: "FILE",
    description: "PEM private key of that certificate",
  },
  {
    name: "agentTls",
    variable: "BMAAS_AGENT_TLS",
    flag: "--agent-tls",
    value: "on|off",
    default: "on",
    description: "off serves agents in plaintext behind a proxy that ends TLS; only signed requests are accepted then",
  },
  {
    name: "agentAuthority",
    variable: "BMAAS_AGENT_AUTHORITY",
    flag: "--agent-authority",
    value: "HOST[:PORT],…",
    description: "names that signed requests may be addressed to; without it the listen address and localhost",
  },
  {
    name: "unaryLane",
    variable: "BMAAS_UNARY_LANE",
    flag: "--unary-lane",
    value: "on|off",
    default: "on",
    description: "off serves heartbeats the slower way, by Connect's own handler; the answers are the same",
  },
  {
    name: "adminTlsCert",
    variable: "BMAAS_ADMIN_TLS_CERT",
    flag: "--admin-tls-cert",
    value: "FILE",
    description: "PEM certificate chain of the operators' listener; without it that listener is plaintext",
  },
  {
    name: "adminTlsKey",
    variable: "BMAAS_ADMIN_TLS_KEY",
    flag: "--admin-tls-key",
    value: "FILE",
    description: "PEM private key of that certificate",
  },
  {
    name: "adminBehindProxy",
    variable: "BMAAS_ADMIN_BEHIND_PROXY",
    flag: "--admin-behind-proxy",
    value: "on|off",
    default: "off",
    description: "on says that a proxy ends TLS in front of the operators' listener, which may leave loopback then",
  },
  {
    name: "oidcIssuer",
    variable: "BMAAS_OIDC_ISSUER",
    flag: "--oidc-issuer",
    value: "URL",
    description: "OpenID Connect issuer of operators' tokens; without it only the server's own tokens count",
  },
  {
    name: "oidcAudience",
    variable: "BMAAS_OIDC_AUDIENCE",
    flag: "--oidc-audience",
    value: "AUDIENCE,…",
    description: "audiences that the issuer's tokens may be for",
  },
  {
    name: "oidcRoleClaim",
    variable: "BMAAS_OIDC_ROLE_CLAIM",
    flag: "--oidc-role-claim",
    value: "CLAIM",
    default: "roles",
    description: "claim of those tokens that says who holds them; dots lead into it, as in realm_access.roles",
  },
  {
    name: "oidcRoles",
    variable: "BMAAS_OIDC_ROLES",
    flag: "--oidc-roles",
    value: "ROLE=VALUE,…",
    description: "roles that values of that claim give, such as admin=bmaas-admins,operator=sre,viewer=*",
  },
  {
    name: "adminUrl",
    variable: "BMAAS_ADMIN_URL",
    flag: "--admin-url",
    value: "URL",
    description: "server that operators' commands talk to; without it the local one",
  },
  {
    name: "adminToken",
    variable: "BMAAS_ADMIN_TOKEN",
    value: "TOKEN",
    description: "token of operators' commands; without it the local server's, from BMAAS_HOME",
  },
  {
    name: "adminCa",
    variable: "BMAAS_ADMIN_CA",
    flag: "--admin-ca",
    value: "FILE",
    description: "PEM file of the CAs that operators' commands trust; without it those that Node brings along",
  },
  {
    name: "adminPlaintext",
    variable: "BMAAS_ADMIN_PLAINTEXT",
    flag: "--admin-plaintext",
    value: "on|off",
    default: "off",
    description: "on lets operators' commands send their token over plain http beyond this machine",
  },
  {
    name: "heartbeatInterval",
    variable: "BMAAS_HEARTBEAT_INTERVAL",
    flag: "--heartbeat-interval",
    value: "SECONDS",
    default: "30",
    description: "time between two heartbeats of an agent that obeys; a server that is loaded asks for fewer",
  },
  {
    name: "installDeadline",
    variable: "BMAAS_INSTALL_DEADLINE",
    flag: "--install-deadline",
    value: "SECONDS",
    default: "1200",
    description: "how long an agent that tells no progress may take to install before that is overdue",
  },
  {
    name: "historyDays",
    variable: "BMAAS_HISTORY_DAYS",
    flag: "--history-days",
    value: "DAYS",
    default: "365",
    description: "how long it is on record what happened to machines, and who did it; 0 keeps it for ever",
  },
  {
    name: "metricsPublic",
    variable: "BMAAS_METRICS_PUBLIC",
    flag: "--metrics-public",
    value: "on|off",
    default: "off",
    description: "on serves /metrics to everybody who reaches the operators' listener; off asks for a token",
  },
  {
    name: "logLevel",
    variable: "BMAAS_LOG_LEVEL",
    flag: "--log-level",
    value: "LEVEL",
    default: "info",
    description: "fatal, error, warn, info, debug, trace or silent",
  },
  {
    name: "shutdownDelay",
    variable: "BMAAS_SHUTDOWN_DELAY",
    flag: "--shutdown-delay",
    value: "SECONDS",
    default: "0.25",
    description: "time between readiness going off and the listeners closing, for load balancers to notice",
  },
  {
    name: "workers",
    variable: "BMAAS_WORKERS",
    flag: "--workers",
    value: "N",
    default: "1",
    description: "processes that serve; more than one share the ports, and SIGHUP replaces them one after the other",
  },
] as const satisfies readonly Setting[];

/** Name of a setting, and of its value among commander's options. */
export type SettingName = (typeof settings)[number]["name"];

/** What was given on the command line, as commander hands it over. */
export type Flags = { readonly [Name in SettingName]?: string | undefined };
