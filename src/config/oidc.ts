/** The settings that let people in by the tokens of an OpenID Connect issuer. */
import { fromUrlHost } from "../base/url-host.ts";
import { InvalidValueError, isLoopback, quote } from "./values.ts";

/** A role of this server; each one may do what those before it may. */
const roleNames = ["viewer", "operator", "admin"] as const;

/** Who gets a role. */
export interface RoleRule {
  readonly role: (typeof roleNames)[number];
  /** A value of the role claim; "*" is everybody whom the issuer vouches for. */
  readonly value: string;
}

/** Whose tokens are accepted, and what they open. */
export interface OidcConfig {
  /** As tokens name it, to the letter. */
  readonly issuer: string;
  /** A token must be for one of these. */
  readonly audiences: readonly string[];
  /** Name of a claim, or a path of names with dots between them. */
  readonly roleClaim: string;
  /** At least one. */
  readonly roles: readonly RoleRule[];
}

/** The settings that belong together, as far as they could be read. */
interface OidcSettings {
  readonly oidcIssuer?: string | undefined;
  readonly oidcAudiences?: readonly string[] | undefined;
  readonly oidcRoleClaim?: string | undefined;
  readonly oidcRoles?: readonly RoleRule[] | undefined;
}

/** Names of the settings that `groupOidc` groups. */
export const oidcSettings = ["oidcIssuer", "oidcAudiences", "oidcRoleClaim", "oidcRoles"] as const;

/** Groups the settings of the issuer. Undefined without an issuer; notes what is missing beside one, and what needs one. */
export function groupOidc(
  { oidcIssuer: issuer, oidcAudiences: audiences, oidcRoleClaim: roleClaim, oidcRoles: roles }: OidcSettings,
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
  if (issuer === undefined || audiences === undefined || roleClaim === undefined || roles === undefined)
    return undefined;
  return { issuer, audiences, roleClaim, roles };
}

/** One sentence for each thing that is allowed and probably not meant. */
export function findOidcNotes(oidc: OidcConfig | undefined): string[] {
  const open = oidc?.roles.filter(({ role, value }) => value === "*" && role !== "viewer") ?? [];
  return open.map(({ role }) => `everybody whom ${oidc?.issuer} vouches for has the role ${role} here`);
}

/** Accepts an issuer as OpenID Connect Discovery 1.0 section 2 defines it; plain http on this machine only. */
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

/** Whether what a URL answers can be believed: it is https, or leads to this machine. */
export function isTrustworthy({ protocol, hostname }: URL): boolean {
  const host = fromUrlHost(hostname);
  return protocol === "https:" || (protocol === "http:" && isLoopback({ host, port: 0 }));
}

/** Reads a list of audiences, separated by commas; one that has commas in it stands in double quotes. */
export function parseAudiences(text: string): readonly string[] {
  const audiences = splitList(text).map((part) => unquote(part));
  if (audiences.includes("")) throw new InvalidValueError(`${quote(text)} has an empty audience in it`);
  return audiences;
}

/**
 * Reads `admin=bmaas-admins,operator="CN=sre,OU=ops",viewer=*`: a value that has commas in it stands in double quotes, and a double
 * quote in there is written twice.
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
      throw new InvalidValueError(`${quote(part)} names a value that cannot be told from *, which is everybody`);
    }
    return { role, value };
  });
}

/** The parts between commas, without spaces around them; a comma between double quotes is none. */
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
