/** Settings that admit people by tokens of an OpenID Connect issuer. */
import { fromUrlHost } from "../base/url-host.ts";
import { InvalidValueError, isLoopback, quote } from "./values.ts";

/** Roles of this server. Each may do everything that the roles before it may do. */
const roleNames = ["viewer", "operator", "admin"] as const;

/** Grants a role to holders of tokens with a certain claim. */
export interface RoleRule {
  readonly role: (typeof roleNames)[number];
  /** A value of the role claim; "*" matches every valid token of the issuer. */
  readonly value: string;
}

/** The issuer whose tokens are accepted, and the roles that they grant. */
export interface OidcConfig {
  /** The issuer's URL, exactly as tokens state it. */
  readonly issuer: string;
  /** A token must have one of these audiences. */
  readonly audiences: readonly string[];
  /** Name of a claim, or a path of names separated by dots. */
  readonly roleClaim: string;
  /** At least one rule. */
  readonly roles: readonly RoleRule[];
  /** The client by which people sign in to the console; absent if they need a token. */
  readonly clientId?: string | undefined;
}

/** The settings of the issuer, as far as they could be parsed. */
interface OidcSettings {
  readonly oidcIssuer?: string | undefined;
  readonly oidcAudiences?: readonly string[] | undefined;
  readonly oidcRoleClaim?: string | undefined;
  readonly oidcRoles?: readonly RoleRule[] | undefined;
  readonly oidcClientId?: string | undefined;
}

/** Names of the settings that `groupOidc` groups. */
export const oidcSettings = ["oidcIssuer", "oidcAudiences", "oidcRoleClaim", "oidcRoles", "oidcClientId"] as const;

/**
 * Groups the settings of the issuer. Returns undefined without an issuer. Adds to `mistakes` a setting that is missing
 * beside an issuer, or that needs one.
 */
export function groupOidc(
  {
    oidcIssuer: issuer,
    oidcAudiences: audiences,
    oidcRoleClaim: roleClaim,
    oidcRoles: roles,
    oidcClientId: clientId,
  }: OidcSettings,
  label: (name: keyof OidcSettings) => string,
  mistakes: string[],
): OidcConfig | undefined {
  const others = { oidcAudiences: audiences, oidcRoles: roles } as const;
  for (const [name, value] of Object.entries(others) as [keyof typeof others, unknown][]) {
    if (issuer === undefined && value !== undefined)
      mistakes.push(`${label(name)}: needs ${label("oidcIssuer")} as well`);
    if (issuer !== undefined && value === undefined)
      mistakes.push(`${label("oidcIssuer")}: needs ${label(name)} as well`);
  }
  if (issuer === undefined && clientId !== undefined)
    mistakes.push(`${label("oidcClientId")}: needs ${label("oidcIssuer")} as well`);
  if (issuer === undefined || audiences === undefined || roleClaim === undefined || roles === undefined)
    return undefined;
  return { issuer, audiences, roleClaim, roles, clientId };
}

/** Returns one sentence for each setting that is allowed but probably not intended. */
export function findOidcNotes(oidc: OidcConfig | undefined): string[] {
  const open = oidc?.roles.filter(({ role, value }) => value === "*" && role !== "viewer") ?? [];
  return open.map(({ role }) => `everyone to whom ${oidc?.issuer} issues a token has the role ${role}`);
}

/**
 * Accepts the URL of an issuer as OpenID Connect Discovery 1.0 section 2 defines it, and plain http only on this
 * machine.
 */
export function parseIssuer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === "" && url.password === "" && !/[?#]/.test(text);
  if (url === undefined || !isPlain || !isTrustworthy(url)) {
    throw new InvalidValueError(
      `${quote(text)} is not an https URL without credentials, query and fragment, for example https://id.example.org/realms/ops`,
    );
  }
  return text;
}

/** Returns whether answers from a URL can be trusted: it is https, or leads to this machine. */
export function isTrustworthy({ protocol, hostname }: URL): boolean {
  const host = fromUrlHost(hostname);
  return protocol === "https:" || (protocol === "http:" && isLoopback({ host, port: 0 }));
}

/** Accepts the id of a client: visible ASCII characters and spaces (RFC 6749 appendix A.1), at most 255. */
export function parseClientId(text: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(text)) return text;
  throw new InvalidValueError(`${quote(text)} is not 1 to 255 printable ASCII characters without spaces around them`);
}

/** Parses a list of audiences, separated by commas. An audience that contains a comma must be in double quotes. */
export function parseAudiences(text: string): readonly string[] {
  const audiences = splitList(text).map((part) => unquote(part));
  if (audiences.includes("")) throw new InvalidValueError(`${quote(text)} contains an empty audience`);
  return audiences;
}

/**
 * Parses rules such as `admin=bmaas-admins,operator="CN=sre,OU=ops",viewer=*`. A value that contains a comma must be in
 * double quotes; a double quote in it is doubled.
 */
export function parseRoleRules(text: string): readonly RoleRule[] {
  return splitList(text).map((part) => {
    const [, name, written = ""] = /^([a-z]+)\s*=\s*(.*)$/s.exec(part) ?? [];
    const role = roleNames.find((known) => known === name);
    const value = unquote(written);
    if (role === undefined || value === "") {
      throw new InvalidValueError(
        `${quote(part)} is not ROLE=VALUE with the role viewer, operator or admin, for example admin=bmaas-admins,viewer=*`,
      );
    }
    if (value === "*" && written !== value) {
      throw new InvalidValueError(
        `${quote(part)} names a value that cannot be distinguished from *, which matches everyone`,
      );
    }
    return { role, value };
  });
}

/** Returns the parts between commas, without surrounding spaces. A comma between double quotes does not separate. */
function splitList(text: string): string[] {
  const part = /((?:[^,="]*=\s*|\s*)"(?:[^"]|"")*"\s*|[^,]*)(,|$)/y;
  const parts: string[] = [];
  for (let end: string | undefined = ","; end === ","; ) {
    const [, found = "", delimiter] = part.exec(text) ?? [];
    parts.push(found.trim());
    end = delimiter;
  }
  return parts;
}

function unquote(text: string): string {
  const [, quoted] = /^"((?:[^"]|"")*)"$/.exec(text) ?? [];
  return quoted?.replaceAll('""', '"') ?? text;
}
