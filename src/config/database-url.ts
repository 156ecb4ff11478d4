/**
 * Checks the URL of a PostgreSQL server and its TLS mode. The modes have libpq's names, but some of them work as a
 * stricter one here; `settleTlsMode` returns a note about that.
 */
import { isIP } from "node:net";
import { InvalidValueError, quote } from "./values.ts";

/** Accepts the URL of one PostgreSQL server. Error messages do not quote it, since it may contain a password. */
export function parseDatabaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const known = url?.protocol === "postgres:" || url?.protocol === "postgresql:";
  if (url === undefined || !known || url.hash !== "" || /[\s,]/.test(url.hostname)) {
    throw new InvalidValueError(
      "not the URL of one PostgreSQL server, for example postgres://user:password@host:5432/database" +
        " (in a password, percent-encode the characters : / ? # [ ] @ %)",
    );
  }
  const proof = url.searchParams.get("require_auth") ?? "scram-sha-256";
  if (proof !== "scram-sha-256") {
    throw new InvalidValueError(`require_auth=${quote(proof)} is not supported: use scram-sha-256, or leave it out`);
  }
  refuseIgnored(url.searchParams);
  return text;
}

/** Parameters of libpq that pg ignores, with the values that pg satisfies anyway. */
const ignoredParameters: Readonly<Record<string, readonly string[]>> = {
  channel_binding: ["disable", "prefer"],
  gssencmode: ["disable", "prefer"],
  requirepeer: [],
  sslcertmode: ["allow"],
  sslcrl: [],
  sslcrldir: [],
  ssl_min_protocol_version: ["TLSv1", "TLSv1.1", "TLSv1.2"],
};

function refuseIgnored(parameters: URLSearchParams): void {
  for (const [name, harmless] of Object.entries(ignoredParameters)) {
    const asked = parameters.getAll(name).find((value) => !harmless.includes(value));
    if (asked !== undefined) throw new InvalidValueError(`${name}=${quote(asked)} is not supported: leave it out`);
  }
  if (last(parameters, "sslrootcert") === "system") {
    throw new InvalidValueError(
      "sslrootcert=system is not supported: name a file, or leave it out for the public CAs that Node brings",
    );
  }
}

/** A URL with a TLS mode that works in pg as its name says, and a note for the user if the mode may be a surprise. */
export interface SettledUrl {
  readonly url: string;
  readonly note: string | undefined;
}

/** A mode that works in pg as its name says. `note` is set if it differs from the requested one. */
interface Mode {
  readonly sslmode: "disable" | "no-verify" | "verify-ca" | "verify-full";
  readonly note?: string;
}

/**
 * Returns the URL with the TLS mode that applies: `sslmode`, else `ssl`, else the variable PGSSLMODE. A mode is never
 * weaker than its name in libpq. Throws InvalidValueError for an unknown mode.
 */
export function settleTlsMode(url: string, variable: string | undefined): SettledUrl {
  const settled = new URL(url);
  const { searchParams: parameters } = settled;
  const named = last(parameters, "sslmode") ?? readSsl(last(parameters, "ssl"));
  const asked = named ?? (variable || findImpliedMode(parameters));
  if (asked === undefined) return { url, note: noteOnPlaintext(settled) };
  const mode = findMode(parameters, asked);
  const shown = `sslmode=${quote(asked)}${named === undefined ? " of PGSSLMODE" : ""}`;
  if (mode === undefined) {
    throw new InvalidValueError(
      `${shown} is not one of disable, no-verify, verify-full (or allow, prefer, require, verify-ca)`,
    );
  }
  for (const name of ["ssl", "uselibpqcompat"]) parameters.delete(name);
  // Only with this parameter does pg check the CA but not the host.
  if (mode.sslmode === "verify-ca") parameters.set("uselibpqcompat", "true");
  parameters.set("sslmode", mode.sslmode);
  return { url: settled.href, note: mode.note && `DATABASE_URL: ${shown} works as ${mode.sslmode} here: ${mode.note}` };
}

/** Returns the mode if other parameters imply TLS: certificates, or TLS from the first byte. */
function findImpliedMode(parameters: URLSearchParams): string | undefined {
  const hasTls = ["sslcert", "sslkey", "sslrootcert"].some((name) => parameters.has(name));
  return hasTls || last(parameters, "sslnegotiation") === "direct" ? "verify-full" : undefined;
}

function findMode(parameters: URLSearchParams, asked: string): Mode | undefined {
  if (asked === "disable" || asked === "no-verify" || asked === "verify-full") return { sslmode: asked };
  return last(parameters, "uselibpqcompat") === "true"
    ? findLenientMode(asked, parameters.has("sslrootcert"))
    : findStrictMode(asked);
}

const onlyValid = "only with a certificate that is valid for the host. Write sslmode=verify-full";

/** How libpq's modes work in pg without `uselibpqcompat`, and what to write instead. */
const strictNotes: Readonly<Record<string, string>> = {
  allow: `never without TLS, and ${onlyValid}, or sslmode=disable for no TLS`,
  prefer: `never without TLS, and ${onlyValid}, or sslmode=disable for no TLS`,
  require: `${onlyValid}, or sslmode=no-verify for TLS that checks no certificate`,
  "verify-ca": `${onlyValid}, or uselibpqcompat=true&sslmode=verify-ca to check the CA alone`,
};

function findStrictMode(asked: string): Mode | undefined {
  const note = Object.hasOwn(strictNotes, asked) ? strictNotes[asked] : undefined;
  return note === undefined ? undefined : { sslmode: "verify-full", note };
}

/** Returns the mode for one of libpq's when the URL has node-postgres' parameter `uselibpqcompat`. */
function findLenientMode(asked: string, hasRoot: boolean): Mode | undefined {
  switch (asked) {
    case "allow":
    case "prefer":
      return {
        sslmode: "no-verify",
        note: "never without TLS. Write sslmode=no-verify, or sslmode=disable for no TLS",
      };
    case "require":
      // libpq checks the CA in this mode if the URL names one.
      return { sslmode: hasRoot ? "verify-ca" : "no-verify" };
    case "verify-ca":
      if (hasRoot) return { sslmode: "verify-ca" };
      throw new InvalidValueError("sslmode=verify-ca needs sslrootcert, the file of the CA");
    default:
      return undefined;
  }
}

/** Returns the mode that node-postgres' own parameter `ssl` means. */
function readSsl(ssl: string | undefined): string | undefined {
  if (ssl === undefined) return undefined;
  if (ssl === "true" || ssl === "1") return "verify-full";
  if (ssl === "false" || ssl === "0") return "disable";
  if (ssl === "no-verify") return ssl;
  throw new InvalidValueError(`ssl=${quote(ssl)} is not one of true, false, no-verify`);
}

/** Returns a note for a remote host without a TLS mode, where libpq would try TLS first. */
function noteOnPlaintext({ hostname, searchParams }: URL): string | undefined {
  const host = searchParams.get("host") ?? decodeURIComponent(hostname);
  const isLocal = host === "" || host === "localhost" || host === "[::1]" || host.startsWith("/");
  if (isLocal || (isIP(host) === 4 && host.startsWith("127."))) return undefined;
  return `DATABASE_URL: without sslmode, connections to ${host} have no TLS. Write sslmode=verify-full, or sslmode=disable if that is meant`;
}

/** Returns the last value of a parameter, which is the one that pg uses. */
function last(parameters: URLSearchParams, name: string): string | undefined {
  return parameters.getAll(name).at(-1);
}
