import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  ConfigError,
  type EffectiveSetting,
  type Environment,
  type Flags,
  loadConfig,
  type Setting,
  settings,
} from "../../src/config/config.ts";

const directory = "/srv/bmaas";

function mistakesOf(environment: Environment, flags: Flags = {}): readonly string[] {
  try {
    loadConfig(environment, flags, directory);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

function shown(
  variable: string,
  value: string,
  source: EffectiveSetting["source"],
  isSecret = false,
): EffectiveSetting {
  return { variable, value, source, isSecret };
}

describe("without any setting", () => {
  test("serves on loopback with TLS for agents and everything under .bmaas", () => {
    expect(loadConfig({}, {}, directory)).toEqual({
      home: "/srv/bmaas/.bmaas",
      agentListen: { host: "127.0.0.1", port: 8443 },
      adminListen: { host: "127.0.0.1", port: 8480 },
      tlsTickets: "on",
      agentTls: "on",
      oidcRoleClaim: "roles",
      console: true,
      reenrolment: "approve",
      enrolExpected: "wait",
      unaryLane: "on",
      adminBehindProxy: false,
      adminPlaintext: false,
      logLevel: "info",
      metricsPublic: false,
      heartbeatIntervalMs: 30_000,
      installDeadlineMs: 1_200_000,
      hardwareMaxAgeMs: 604_800_000,
      reinstallLimit: 3,
      reinstallWindowMs: 86_400_000,
      historyDays: 365,
      shutdownDelayMs: 250,
      workers: 1,
      effective: expect.any(Array),
      notes: [],
    });
  });

  test("reads which private addresses and hosts receivers may have", () => {
    const read = (text: string) => loadConfig({ BMAAS_RECEIVER_ALLOW: text }, {}, directory).receiverAllow;
    expect(read("10.20.0.0/16, Alerts.Internal,127.0.0.1,fd00::/8,hooks")).toEqual({
      networks: ["10.20.0.0/16", "127.0.0.1", "fd00::/8"],
      hosts: ["alerts.internal", "hooks"],
    });
    expect(loadConfig({}, {}, directory).receiverAllow).toBeUndefined();
    for (const text of [
      "10.0.0.0/33",
      "https://alerts.internal",
      "alerts.internal:443",
      "10.0.0",
      "*.internal",
      "a,,b",
    ]) {
      expect(mistakesOf({ BMAAS_RECEIVER_ALLOW: text }), text).toEqual([
        expect.stringMatching(
          /^BMAAS_RECEIVER_ALLOW: ".*" is not an IP address, a network such as 10\.0\.0\.0\/8, or a host name$/,
        ),
      ]);
    }
  });

  test("shows where each setting of the server is from, and no secret", () => {
    const environment = { DATABASE_URL: "postgres://user:hidden@db/x", BMAAS_LOG_LEVEL: "warn", BMAAS_WORKERS: "" };
    const { effective } = loadConfig(environment, { historyDays: "7" }, directory);
    const find = (variable: string) => effective.find((setting) => setting.variable === variable);
    expect(find("DATABASE_URL")).toEqual(shown("DATABASE_URL", "", "environment", true));
    expect(find("BMAAS_LOG_LEVEL")).toEqual(shown("BMAAS_LOG_LEVEL", "warn", "environment"));
    expect(find("BMAAS_HISTORY_DAYS")).toEqual(shown("BMAAS_HISTORY_DAYS", "7", "flag"));
    expect(find("BMAAS_WORKERS")).toEqual(shown("BMAAS_WORKERS", "1", "default"));
    expect(find("BMAAS_TLS_CERT")).toEqual(shown("BMAAS_TLS_CERT", "", "unset"));
    expect(find("BMAAS_ADMIN_TOKEN")).toBeUndefined();
    expect(JSON.stringify(effective)).not.toContain("hidden");
  });

  test("what has no flag, and only that, is a secret", () => {
    const rows = Object.values<Setting>(settings);
    expect(rows.filter(({ isSecret }) => isSecret)).toEqual(rows.filter(({ flag }) => flag === undefined));
  });

  test("reads the environment of the process when none is given", () => {
    vi.stubEnv("BMAAS_LOG_LEVEL", "trace");
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    expect(loadConfig().logLevel).toBe("trace");
  });
});

describe("a setting", () => {
  test("takes its flag before its variable, and its variable before the default", () => {
    const environment = { BMAAS_LOG_LEVEL: "warn", BMAAS_HOME: "/var/lib/bmaas" };
    expect(loadConfig(environment, { logLevel: "debug" }, directory)).toMatchObject({
      logLevel: "debug",
      home: "/var/lib/bmaas",
    });
  });

  test("counts as unset when its variable is empty", () => {
    expect(loadConfig({ BMAAS_HOME: "", BMAAS_TLS_CERT: "", BMAAS_LOG_LEVEL: "" }, {}, directory)).toMatchObject({
      home: "/srv/bmaas/.bmaas",
      tls: undefined,
      logLevel: "info",
    });
  });

  test("has a flag named like its variable, unless it is a secret", () => {
    for (const [name, setting] of Object.entries<Setting>(settings)) {
      const flag = setting.variable.replace("BMAAS_", "--").replaceAll("_", "-").toLowerCase();
      const isSecret = ["databaseUrl", "adminToken", "joinToken"].includes(name);
      expect(setting.flag).toBe(isSecret ? undefined : flag);
    }
  });

  test.each([
    ["127.0.0.1:8443", { host: "127.0.0.1", port: 8443 }],
    ["[::1]:8443", { host: "::1", port: 8443 }],
    ["[0:0:0:0:0:0:0:1]:8443", { host: "::1", port: 8443 }],
    ["LocalHost:0", { host: "localhost", port: 0 }],
    ["agents.example.org:65535", { host: "agents.example.org", port: 65_535 }],
  ])("listens on %s", (text, address) => {
    expect(loadConfig({ BMAAS_AGENT_LISTEN: text }, {}, directory).agentListen).toEqual(address);
  });

  test.each([
    ["Agents.Example.ORG", ["agents.example.org"]],
    ["agents.example.org:443, agents.example.org", ["agents.example.org"]],
    ["[::1]:8443,10.0.0.1:9443", ["[::1]:8443", "10.0.0.1:9443"]],
  ])("normalises the authorities %s as RFC 9421 compares them", (text, authorities) => {
    expect(loadConfig({ BMAAS_AGENT_AUTHORITY: text }, {}, directory).agentAuthorities).toEqual(authorities);
  });

  test("takes proxies by address and by network", () => {
    const proxies = loadConfig(
      { BMAAS_AGENT_PROXIES: "10.0.0.4, 10.1.0.0/16,2001:db8::/32" },
      {},
      directory,
    ).agentProxies;
    expect(proxies).toEqual(["10.0.0.4", "10.1.0.0/16", "2001:db8::/32"]);
  });

  test.each([
    "postgres://bmaas:s%3Acret@db:5432/bmaas?sslmode=verify-full",
    "postgresql:///bmaas?host=/run/postgresql",
  ])("accepts the database %s as it stands", (url) => {
    expect(loadConfig({ DATABASE_URL: url }, {}, directory).databaseUrl).toBe(url);
  });

  test("finds files from the working directory", () => {
    const environment = { BMAAS_TLS_CERT: "tls/server.pem", BMAAS_TLS_KEY: "/etc/bmaas/server.key" };
    expect(loadConfig(environment, {}, directory).tls).toEqual({
      certFile: "/srv/bmaas/tls/server.pem",
      keyFile: "/etc/bmaas/server.key",
    });
  });

  test.each([
    ["0", 0],
    ["1.5", 1500],
    ["3600", 3_600_000],
  ])("delays the shutdown by %s seconds", (text, shutdownDelayMs) => {
    expect(loadConfig({ BMAAS_SHUTDOWN_DELAY: text }, {}, directory)).toMatchObject({ shutdownDelayMs });
  });

  test.each([
    ["2", 2000],
    ["3600", 3_600_000],
  ])("paces agents by an interval of %s seconds", (text, heartbeatIntervalMs) => {
    expect(loadConfig({ BMAAS_HEARTBEAT_INTERVAL: text }, {}, directory)).toMatchObject({ heartbeatIntervalMs });
  });

  test.each([
    ["2", [2]],
    ["1.4.0", [1, 4, 0]],
    ["0.10.0.7", [0, 10, 0, 7]],
  ])("wants agents to have version %s", (text, agentMinVersion) => {
    expect(loadConfig({ BMAAS_AGENT_MIN_VERSION: text }, {}, directory)).toMatchObject({ agentMinVersion });
  });

  test.each(["v1", "1.", "1.2.3.4.5", "1.2-rc1", "9999999999"])("refuses %s as a version of agents", (text) => {
    expect(() => loadConfig({ BMAAS_AGENT_MIN_VERSION: text }, {}, directory)).toThrow("is not a version such as 1.4");
  });

  test.each([
    ["0", 0],
    ["30", 30],
    ["36500", 36_500],
  ])("keeps the history for %s days", (text, historyDays) => {
    expect(loadConfig({ BMAAS_HISTORY_DAYS: text }, {}, directory)).toMatchObject({ historyDays });
  });
});

describe("a mistake", () => {
  const notListen = "is not HOST:PORT, for example 127.0.0.1:8443";
  const notDatabase =
    "not the URL of one PostgreSQL server, for example postgres://user:password@host:5432/database" +
    " (in a password, percent-encode the characters : / ? # [ ] @ %)";
  const notDelay = "is not a number of seconds from 0 to 3600";
  const notAuthority = "is not HOST or HOST:PORT, for example agents.example.org";
  const notIssuer =
    "is not an https URL without credentials, query and fragment, for example https://id.example.org/realms/ops";
  const notRule = "is not ROLE=VALUE with the role viewer, operator or admin, for example admin=bmaas-admins,viewer=*";
  const notUrl = "not an http or https URL without credentials, query and fragment, for example http://127.0.0.1:8480";

  test.each([
    ["BMAAS_AGENT_LISTEN", "foo", `"foo" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "8443", `"8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", ":8443", `":8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "127.0.0.1:65536", `"127.0.0.1:65536" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "127.0.0.1:-1", `"127.0.0.1:-1" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "127.0.0.256:8443", `"127.0.0.256:8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "::1:8443", `"::1:8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "[::g]:8443", `"[::g]:8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "[127.0.0.1]:8443", `"[127.0.0.1]:8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "https://a:8443", `"https://a:8443" ${notListen}`],
    ["BMAAS_AGENT_LISTEN", "a\nb:1", `"a\\nb:1" ${notListen}`],
    ["BMAAS_ADMIN_LISTEN", "foo", `"foo" ${notListen}`],
    ["BMAAS_TLS_CERT", "a.pem", "needs BMAAS_TLS_KEY as well"],
    ["BMAAS_TLS_KEY", "a.key", "needs BMAAS_TLS_CERT as well"],
    ["BMAAS_ADMIN_TLS_CERT", "a.pem", "needs BMAAS_ADMIN_TLS_KEY as well"],
    ["BMAAS_ADMIN_TLS_KEY", "a.key", "needs BMAAS_ADMIN_TLS_CERT as well"],
    ["BMAAS_AGENT_TLS", "no", '"no" is neither on nor off'],
    ["BMAAS_TLS_TICKETS", "yes", '"yes" is neither on nor off'],
    ["BMAAS_HEARTBEAT_INTERVAL", "1", '"1" is not a whole number of seconds from 2 to 3600'],
    ["BMAAS_HEARTBEAT_INTERVAL", "30s", '"30s" is not a whole number of seconds from 2 to 3600'],
    ["BMAAS_HEARTBEAT_INTERVAL", "3601", '"3601" is not a whole number of seconds from 2 to 3600'],
    ["BMAAS_INSTALL_DEADLINE", "0", '"0" is not a whole number of seconds from 1 to 604800'],
    ["BMAAS_INSTALL_DEADLINE", "2.5", '"2.5" is not a whole number of seconds from 1 to 604800'],
    ["BMAAS_INSTALL_DEADLINE", "604801", '"604801" is not a whole number of seconds from 1 to 604800'],
    ["BMAAS_HARDWARE_MAX_AGE", "7d", '"7d" is not a whole number of seconds from 1 to 604800'],
    ["BMAAS_REINSTALL_LIMIT", "-1", '"-1" is not a whole number of installations from 0 to 1000'],
    ["BMAAS_REINSTALL_LIMIT", "1001", '"1001" is not a whole number of installations from 0 to 1000'],
    ["BMAAS_REINSTALL_WINDOW", "0", '"0" is not a whole number of seconds from 1 to 604800'],
    ["BMAAS_HISTORY_DAYS", "-1", '"-1" is not a whole number of days from 0 to 36500'],
    ["BMAAS_HISTORY_DAYS", "0.5", '"0.5" is not a whole number of days from 0 to 36500'],
    ["BMAAS_HISTORY_DAYS", "36501", '"36501" is not a whole number of days from 0 to 36500'],
    ["BMAAS_ADMIN_BEHIND_PROXY", "true", '"true" is neither on nor off'],
    ["BMAAS_AGENT_AUTHORITY", "a.example,https://b", `"https://b" ${notAuthority}`],
    ["BMAAS_AGENT_PROXIES", "10.0.0.0/33", '"10.0.0.0/33" is not an IP address or a network such as 10.0.0.0/8'],
    ["BMAAS_AGENT_PROXIES", "proxy.example", '"proxy.example" is not an IP address or a network such as 10.0.0.0/8'],
    ["BMAAS_AGENT_PROXIES", "10.0.0.1,", '"" is not an IP address or a network such as 10.0.0.0/8'],
    ["BMAAS_AGENT_PROXIES", "fe80::1%eth0", '"fe80::1%eth0" is not an IP address or a network such as 10.0.0.0/8'],
    ["BMAAS_AGENT_AUTHORITY", "a.example,", `"" ${notAuthority}`],
    ["BMAAS_AGENT_AUTHORITY", "a.example:0", `"a.example:0" ${notAuthority}`],
    ["BMAAS_AGENT_AUTHORITY", "user@a.example", `"user@a.example" ${notAuthority}`],
    ["BMAAS_LOG_LEVEL", "loud", '"loud" is not one of fatal, error, warn, info, debug, trace, silent'],
    ["BMAAS_SHUTDOWN_DELAY", "-1", `"-1" ${notDelay}`],
    ["BMAAS_SHUTDOWN_DELAY", "5s", `"5s" ${notDelay}`],
    ["BMAAS_SHUTDOWN_DELAY", "3601", `"3601" ${notDelay}`],
    ["BMAAS_WORKERS", "0", '"0" is not a whole number of processes from 1 to 64'],
    ["BMAAS_WORKERS", "1.5", '"1.5" is not a whole number of processes from 1 to 64'],
    ["BMAAS_WORKERS", "65", '"65" is not a whole number of processes from 1 to 64'],
    ["BMAAS_WORKERS", "9", "the server's own PostgreSQL has connections for 8; more need DATABASE_URL"],
    ["BMAAS_HOME", " ", "is empty"],
    ["BMAAS_ADMIN_TOKEN", "hunter2\r\nx-evil: 1", "not a token"],
    ["BMAAS_ADMIN_PLAINTEXT", "yes", '"yes" is neither on nor off'],
    ["BMAAS_OIDC_ISSUER", "id.example.org", `"id.example.org" ${notIssuer}`],
    ["BMAAS_OIDC_ISSUER", "http://id.example.org", `"http://id.example.org" ${notIssuer}`],
    ["BMAAS_OIDC_ISSUER", "https://id.example.org?a", `"https://id.example.org?a" ${notIssuer}`],
    ["BMAAS_OIDC_AUDIENCE", "a,", '"a," contains an empty audience'],
    ["BMAAS_OIDC_AUDIENCE", "bmaas", "needs BMAAS_OIDC_ISSUER as well"],
    ["BMAAS_OIDC_ROLES", "viewer=*", "needs BMAAS_OIDC_ISSUER as well"],
    ["BMAAS_OIDC_ROLES", "root=wheel", `"root=wheel" ${notRule}`],
    ["BMAAS_OIDC_ROLES", "admin=a,viewer", `"viewer" ${notRule}`],
    ["BMAAS_ADMIN_URL", "ftp://a", notUrl],
    ["BMAAS_ADMIN_URL", "https://u:hunter2@a", notUrl],
    ["BMAAS_ADMIN_URL", "https://a/?b=hunter2", notUrl],
    ["DATABASE_URL", "mysql://u:hunter2@db/bmaas", notDatabase],
    ["DATABASE_URL", "postgres://u:hunter2#x@db/bmaas", notDatabase],
    ["DATABASE_URL", "postgres://u:hunter2@db1,db2/bmaas", notDatabase],
    ["DATABASE_URL", "db.example", notDatabase],
    ["BMAAS_AGNT_LISTEN", "x", "unknown variable, did you mean BMAAS_AGENT_LISTEN?"],
    ["BMAAS_TLS_CRT", "x", "unknown variable, did you mean BMAAS_TLS_CERT?"],
    ["BMAAS_LOGLEVEL", "x", "unknown variable, did you mean BMAAS_LOG_LEVEL?"],
    ["BMAAS_FRIDAY_AFTERNOON", "x", "unknown variable"],
    ["BMAAS_PORT", "8443", "unknown variable"],
  ])("in %s=%j is named", (variable, value, complaint) => {
    expect(mistakesOf({ [variable]: value })).toEqual([`${variable}: ${complaint}`]);
  });

  test("never repeats a password or a token", () => {
    const environment = {
      DATABASE_URL: "mysql://u:hunter2@db/x",
      BMAAS_ADMIN_URL: "x:hunter2",
      BMAAS_ADMIN_TOKEN: " ",
    };
    const text = mistakesOf(environment).join("\n");
    expect(text).toMatch(/^DATABASE_URL: .*\nBMAAS_ADMIN_URL: .*\nBMAAS_ADMIN_TOKEN: is empty$/);
    expect(text).not.toContain("hunter2");
  });

  test("is reported together with all others, one line each", () => {
    const environment = {
      DATABASE_URL: "mysql://db",
      BMAAS_AGENT_LISTEN: "foo",
      BMAAS_TLS_CERT: "a.pem",
      BMAAS_LOG_LEVEL: "loud",
      BMAAS_ADMIN_LISTEN: "0.0.0.0:8480",
      BMAAS_HOMES: "/x",
    };
    expect(() => loadConfig(environment, { agentTls: "maybe" }, directory)).toThrow(ConfigError);
    expect(mistakesOf(environment, { agentTls: "maybe" }).map((line) => line.split(":")[0])).toEqual([
      "DATABASE_URL",
      "BMAAS_AGENT_LISTEN",
      "--agent-tls",
      "BMAAS_LOG_LEVEL",
      "BMAAS_TLS_CERT",
      "BMAAS_ADMIN_LISTEN",
      "BMAAS_HOMES",
    ]);
  });
});

describe("an OpenID Connect issuer", () => {
  const environment = {
    BMAAS_OIDC_ISSUER: "https://id.example.org/realms/ops/",
    BMAAS_OIDC_AUDIENCE: "bmaas, bmaas-cli",
    BMAAS_OIDC_ROLES: "admin=bmaas-admins, operator = /infra/sre=1 ,viewer=*",
  };

  test("is taken to the letter, with who gets which role", () => {
    expect(loadConfig(environment, {}, directory)).toMatchObject({
      oidc: {
        issuer: "https://id.example.org/realms/ops/",
        audiences: ["bmaas", "bmaas-cli"],
        roleClaim: "roles",
        roles: [
          { role: "admin", value: "bmaas-admins" },
          { role: "operator", value: "/infra/sre=1" },
          { role: "viewer", value: "*" },
        ],
      },
      notes: [],
    });
  });

  test("takes values and audiences with commas in double quotes", () => {
    const quoted = {
      BMAAS_OIDC_AUDIENCE: 'api://a,b, "api://c,d" ,"e"',
      BMAAS_OIDC_ROLES: 'admin="CN=admins,OU=ops" , operator= "say ""so"", please",viewer=6" rack,viewer="plain"',
    };
    expect(loadConfig({ ...environment, ...quoted }, {}, directory).oidc).toMatchObject({
      audiences: ["api://a", "b", "api://c,d", "e"],
      roles: [
        { role: "admin", value: "CN=admins,OU=ops" },
        { role: "operator", value: 'say "so", please' },
        { role: "viewer", value: '6" rack' },
        { role: "viewer", value: "plain" },
      ],
    });
  });

  test.each([
    ['admin="a,b', /^BMAAS_OIDC_ROLES: "b" is not ROLE=VALUE/],
    ['admin="a,b"c', /is not ROLE=VALUE/],
    ['admin=""', /is not ROLE=VALUE/],
    ["admin=a,", /is not ROLE=VALUE/],
    ['viewer="*"', /cannot be distinguished from \*/],
  ])("refuses %s for roles", (roles, mistake) => {
    expect(mistakesOf({ ...environment, BMAAS_OIDC_ROLES: roles })).toEqual([expect.stringMatching(mistake)]);
  });

  test.each(["http://127.0.0.1:8080/realms/ops", "http://[::1]:8080", "http://localhost"])(
    "may be plaintext on this machine: %s",
    (issuer) => {
      expect(loadConfig({ ...environment, BMAAS_OIDC_ISSUER: issuer }, {}, directory).oidc?.issuer).toBe(issuer);
    },
  );

  test("needs an audience and roles", () => {
    expect(mistakesOf({ BMAAS_OIDC_ISSUER: "https://id.example.org" })).toEqual([
      "BMAAS_OIDC_ISSUER: needs BMAAS_OIDC_AUDIENCE as well",
      "BMAAS_OIDC_ISSUER: needs BMAAS_OIDC_ROLES as well",
    ]);
  });

  test("that makes everybody more than a viewer is worth a note", () => {
    const { notes } = loadConfig({ ...environment, BMAAS_OIDC_ROLES: "operator=*" }, {}, directory);
    expect(notes).toEqual(["everyone to whom https://id.example.org/realms/ops/ issues a token has the role operator"]);
  });
});

describe("two settings together", () => {
  test.each([
    ["127.0.0.1:9000", "127.0.0.1:9000"],
    ["[::1]:9000", "[0::1]:9000"],
    ["0.0.0.0:9000", "127.0.0.1:9000"],
    ["[::]:9000", "127.0.0.1:9000"],
  ])("cannot make both listeners bind %s and %s", (agentListen, adminListen) => {
    expect(mistakesOf({ BMAAS_AGENT_LISTEN: agentListen }, { adminListen })).toEqual([
      "--admin-listen: collides with BMAAS_AGENT_LISTEN, give each its own port",
    ]);
  });

  test.each([
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["127.0.0.2:9000", "127.0.0.1:9000"],
    ["0.0.0.0:9000", "[::1]:9000"],
  ])("let the listeners bind %s and %s", (agentListen, adminListen) => {
    expect(mistakesOf({}, { agentListen, adminListen })).toEqual([]);
  });

  test.each([
    ["BMAAS_AGENT_TLS", { BMAAS_AGENT_TLS: "off" }],
    ["BMAAS_TLS_TICKETS", { BMAAS_TLS_TICKETS: "off" }],
  ])("make a secret of session tickets useless if %s is off", (variable, environment) => {
    expect(mistakesOf({ ...environment, BMAAS_TLS_TICKET_SECRET: "tickets.secret" }, {})).toEqual([
      `BMAAS_TLS_TICKET_SECRET: has no use while ${variable} is off`,
    ]);
  });

  test.each(["0.0.0.0:8480", "[::]:8480", "10.0.0.1:8480", "admin.example:8480"])(
    "keep an admin listener on %s from being plaintext by accident",
    (adminListen) => {
      const [mistake, ...others] = mistakesOf({}, { adminListen });
      expect(mistake).toMatch(/^--admin-listen: beyond loopback it needs BMAAS_ADMIN_TLS_CERT and BMAAS_ADMIN_TLS_KEY/);
      expect(others).toEqual([]);
      expect(mistakesOf({}, { adminListen, adminBehindProxy: "on" })).toEqual([]);
      expect(mistakesOf({}, { adminListen, adminTlsCert: "a.pem", adminTlsKey: "a.key" })).toEqual([]);
    },
  );

  test.each(["127.0.0.53:8480", "[::1]:8480", "[::ffff:127.0.0.1]:8480", "localhost:8480"])(
    "let an admin listener on %s, which is loopback, be plaintext",
    (adminListen) => {
      expect(mistakesOf({}, { adminListen })).toEqual([]);
    },
  );

  test("refuse a certificate that nothing would use", () => {
    expect(mistakesOf({ BMAAS_AGENT_TLS: "off", BMAAS_TLS_CERT: "a.pem", BMAAS_TLS_KEY: "a.key" })).toEqual([
      "BMAAS_TLS_CERT: has no use while BMAAS_AGENT_TLS is off",
    ]);
  });

  test("note that agents beyond loopback are served in plaintext", () => {
    const open = loadConfig({ BMAAS_AGENT_TLS: "off", BMAAS_AGENT_LISTEN: "0.0.0.0:8080" }, {}, directory);
    expect(open.notes).toEqual([expect.stringContaining("only signed requests are accepted")]);
    expect(loadConfig({ BMAAS_AGENT_TLS: "off" }, {}, directory).notes).toEqual([]);
  });
});

test("ignores what Kubernetes sets for a Service called bmaas or bmaas-agent", () => {
  const environment = {
    BMAAS_SERVICE_HOST: "10.96.0.10",
    BMAAS_SERVICE_PORT: "8443",
    BMAAS_SERVICE_PORT_GRPC: "8443",
    BMAAS_PORT: "tcp://10.96.0.10:8443",
    BMAAS_PORT_8443_TCP: "tcp://10.96.0.10:8443",
    BMAAS_PORT_8443_TCP_ADDR: "10.96.0.10",
    BMAAS_AGENT_SERVICE_HOST: "10.96.0.11",
    BMAAS_AGENT_PORT_8443_TCP_PROTO: "tcp",
  };
  expect(mistakesOf(environment)).toEqual([]);
});
