/** Settings of how operators sign in, and of the commands that call the server. */
import { parseAudiences, parseClientId, parseIssuer, parseRoleRules } from "./oidc.ts";
import { parseFlag, type Setting, toAbsolutePath } from "./setting.ts";
import { parseAdminUrl, parseBearerToken } from "./values.ts";

export const operatorSettings = {
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
} as const satisfies Readonly<Record<string, Setting>>;
